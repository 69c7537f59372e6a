import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.models.faces import Box, blur_faces, enlarged, find_faces, pixelated
from tests.portrait import SIDE, drawn_face

needs_opencv = pytest.mark.skipif("not __import__('importlib.util').util.find_spec('cv2')")


def _meadow() -> Image.Image:
    """A picture without any face: light above, green below."""
    picture = Image.new("RGB", (320, 240), (170, 200, 240))
    ImageDraw.Draw(picture).rectangle((0, 140, 320, 240), fill=(60, 140, 60))
    return picture


def _beside(*pictures: Image.Image) -> Image.Image:
    row = Image.new("RGB", (SIDE * len(pictures), SIDE))
    for place, picture in enumerate(pictures):
        row.paste(picture, (place * SIDE, 0))
    return row


@pytest.fixture
def face() -> Image.Image:
    return drawn_face()


@needs_opencv
def test_a_face_is_blurred_and_the_rest_stays_as_it_is(face: Image.Image) -> None:
    blurred, count = blur_faces(face)
    (box,) = find_faces(face)
    left, top, right, bottom = enlarged(box, face.size)
    changed = (np.asarray(face) != np.asarray(blurred)).any(axis=2)
    assert count == 1
    assert changed[105:115, 85:95].mean() > 0.9
    changed[top:bottom, left:right] = False
    assert not changed.any()


@needs_opencv
def test_no_face_is_found_in_what_was_blurred(face: Image.Image) -> None:
    blurred, _ = blur_faces(face)
    assert blur_faces(blurred)[1] == 0


@needs_opencv
def test_every_face_of_a_picture_is_blurred_and_counted(face: Image.Image) -> None:
    blurred, count = blur_faces(_beside(face, face, face))
    assert count == 3
    assert find_faces(blurred) == []


@needs_opencv
def test_a_picture_without_faces_stays_as_it_is() -> None:
    blurred, count = blur_faces(_meadow())
    assert count == 0
    assert blurred.tobytes() == _meadow().tobytes()


@needs_opencv
def test_the_picture_that_is_given_is_not_changed(face: Image.Image) -> None:
    blur_faces(face)
    assert face.tobytes() == drawn_face().tobytes()


@needs_opencv
def test_a_small_face_is_found_by_enlarging_the_picture(face: Image.Image) -> None:
    small = face.resize((60, 60))
    (box,) = find_faces(small)
    assert box.left < 30 < box.right <= 60


@needs_opencv
def test_threads_find_the_same(face: Image.Image) -> None:
    pictures = [_beside(face, _meadow()), face, _meadow()] * 4
    alone = [blur_faces(picture)[0].tobytes() for picture in pictures]
    with ThreadPoolExecutor(4) as executor:
        assert [blurred.tobytes() for blurred, _ in executor.map(blur_faces, pictures)] == alone


@needs_opencv
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK"])
def test_pictures_of_other_modes_come_out_as_rgb(face: Image.Image, mode: str) -> None:
    blurred, count = blur_faces(face.convert(mode))
    assert (blurred.mode, blurred.size, count) == ("RGB", face.size, 1)


@needs_opencv
def test_a_photograph_on_its_side_is_turned_and_loses_its_metadata(face: Image.Image) -> None:
    turned = face.crop((20, 0, 220, 240)).transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112], exif[0x010E] = 6, "somebody"
    turned.info["exif"] = exif.tobytes()
    blurred, count = blur_faces(turned)
    assert (blurred.size, count) == ((200, 240), 1)
    assert not blurred.info
    assert not blurred.getexif()


@needs_opencv
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (23, 23)])
def test_a_tiny_picture_holds_no_face_and_does_no_harm(size: tuple[int, int]) -> None:
    assert blur_faces(Image.new("RGB", size, (9, 9, 9)))[1] == 0


def test_a_box_grows_by_a_fifth_around_its_middle_and_ends_at_the_edges() -> None:
    assert enlarged(Box(50, 50, 150, 150), (400, 400)) == Box(40, 40, 160, 160)
    assert enlarged(Box(0, 2, 100, 102), (105, 400)) == Box(0, 0, 105, 112)


def test_pixels_keep_their_mean_colour_and_no_detail() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    coarse = np.asarray(pixelated(Image.fromarray(noise)), dtype=float)
    assert coarse.shape == noise.shape
    assert coarse.mean() == pytest.approx(noise.mean(), abs=4)
    assert coarse.std() < noise.std() / 5


def test_without_opencv_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, face: Image.Image
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        blur_faces(face)
