import io
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from generators.decode import Unusable, decode_image, encode_image, normalise_text
from schemas.config import Ingest

CAPS = Ingest()


def _png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def _reason(data: bytes, caps: Ingest = CAPS) -> str:
    with pytest.raises(Unusable) as caught:
        decode_image(data, caps)
    return caught.value.reason


@given(st.text(max_size=60))
def test_a_normalised_text_is_nfc_trimmed_and_stays_as_it_is(text: str) -> None:
    try:
        clean = normalise_text(text, 50)
    except Unusable:
        return
    assert normalise_text(clean, 50) == clean == unicodedata.normalize("NFC", clean)
    assert clean == " ".join(clean.split()) and 0 < len(clean) <= 50


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=300))
def test_only_length_and_emptiness_drop_a_text_of_ordinary_characters(text: str) -> None:
    length = len(" ".join(unicodedata.normalize("NFC", text).split()))
    try:
        assert len(normalise_text(text, 40)) == length
    except Unusable as why:
        assert why.reason == ("empty" if length == 0 else "too_long")
        assert length == 0 or length > 40


@pytest.mark.parametrize("bad", ["\0", "\x07", "\x1b", "\x7f", "\x85", "\r"])
def test_control_characters_are_refused(bad: str) -> None:
    with pytest.raises(Unusable, match="control_characters"):
        normalise_text(f"a{bad}b", 50)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(orientation: int) -> None:
    scene = np.zeros((64, 96, 3), np.uint8)
    scene[:32, :48] = 255
    turns = {1: scene, 2: scene[:, ::-1], 3: scene[::-1, ::-1], 4: scene[::-1], 5: scene.transpose(1, 0, 2)}
    turns |= {6: np.rot90(scene, 1), 7: scene[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(scene, -1)}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.asarray(
        decode_image(_png(Image.fromarray(np.ascontiguousarray(turns[orientation])), exif=exif), CAPS)
    )
    assert np.array_equal(stored, scene)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    stored = np.asarray(decode_image(_png(Image.fromarray(ramp)), CAPS))
    assert stored.min() == 0 and stored.max() == 255 and abs(stored.mean() - 127.5) < 1


def test_transparent_pixels_become_white() -> None:
    stored = decode_image(_png(Image.new("RGBA", (64, 64), (200, 0, 0, 0))), CAPS)
    assert stored.getcolors() == [(64 * 64, (255, 255, 255))]


def test_long_images_are_scaled_down_and_keep_their_shape() -> None:
    assert decode_image(_png(Image.new("RGB", (3000, 1500))), CAPS).size == (1024, 512)


def test_equal_pixels_in_different_files_give_equal_bytes() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    files = [_png(image), _png(image, compress_level=1, pnginfo=None, dpi=(300, 300))]
    assert len({encode_image(decode_image(data, CAPS), CAPS.quality) for data in files}) == 1


def test_the_caps_come_before_decoding() -> None:
    data = _png(Image.new("RGB", (100, 100)))
    assert _reason(data, Ingest(max_pixels=9_999)) == "too_many_pixels"
    assert _reason(data, Ingest(max_bytes=10)) == "too_many_bytes"
    assert _reason(data, Ingest(min_side=101)) == "too_small"


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"])
)
def test_no_bytes_raise_anything_but_unusable(data: bytes, magic: bytes) -> None:
    _reason(magic + data)
