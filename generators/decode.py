"""Bytes of unknown origin to upright RGB pictures and one kind of JPEG, and strings to clean NFC text; pure functions.

Every image is encoded anew in one way, so that neither format nor metadata tells generated from retrieved.
"""

from __future__ import annotations

import io
import struct
import unicodedata
import warnings

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from schemas.config import Ingest

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DAMAGE = (OSError, SyntaxError, EOFError, ValueError, struct.error)
"""What Pillow raises on damaged files of a known format."""
NFC_SHRINK = 4
"""NFC merges at most this many code points into one."""


class Unusable(ValueError):
    """Data that is left out on purpose.

    Args:
        reason: A snake_case code.
        detail: What was found.
        score: The measure that was over (or under) its cap.
        threshold: The cap.
    """

    def __init__(
        self, reason: str, detail: str = "", score: float | None = None, threshold: float | None = None
    ) -> None:
        super().__init__(reason, detail, score, threshold)
        self.reason, self.detail, self.score, self.threshold = reason, detail, score, threshold


def decode_image(data: bytes, caps: Ingest) -> Image.Image:
    """Decode an image under the caps: upright, sRGB, without metadata.

    Raises:
        Unusable: `empty`, `too_many_bytes`, `unsupported_format`, `too_many_pixels`, `too_small`,
            `animated`, `truncated` or `damaged`.
    """
    if not data:
        raise Unusable("empty")
    if len(data) > caps.max_bytes:
        raise Unusable("too_many_bytes", "", len(data), caps.max_bytes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _pixels(data, caps)
        except Unusable:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Unusable("too_many_pixels", str(error), None, caps.max_pixels) from None
        except UnidentifiedImageError:
            raise Unusable("damaged" if _has_magic(data) else "unsupported_format") from None
        except _DAMAGE as error:
            detail = f"{type(error).__name__}: {error}"
            raise Unusable("truncated" if "truncat" in detail.lower() else "damaged", detail) from None


def _has_magic(data: bytes) -> bool:
    return data.startswith(_MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _pixels(data: bytes, caps: Ingest) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_header(image, caps)
        image.verify()
    # Pillow cannot decode an image that it has verified.
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        image.load()
        orientation = image.getexif().get(_ORIENTATION)
        profile = image.info.get("icc_profile")
        shrunk = _widened(image)
    size = _stored_size(shrunk.size, caps.max_side)
    if shrunk.size != size:
        shrunk = shrunk.resize(size, Image.Resampling.LANCZOS)
    rgb = _on_white(_in_srgb(shrunk, profile))
    upright = rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb
    # Pillow would write a comment found in `info` into a file, and turn by its orientation again.
    upright.info = {}
    return upright


def _stored_size(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _check_header(image: Image.Image, caps: Ingest) -> None:
    """Check size and number of frames from the header alone."""
    width, height = image.size
    if width * height > caps.max_pixels:
        raise Unusable("too_many_pixels", f"{width}x{height}", width * height, caps.max_pixels)
    # A multi-picture JPEG holds a preview or a second eye beside the photograph, not an animation.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise Unusable("animated", f"{image.format} of several frames")
    side = min(_stored_size(image.size, caps.max_side))
    if side < caps.min_side:
        raise Unusable("too_small", f"{width}x{height}", side, caps.min_side)


def _widened(image: Image.Image) -> Image.Image:
    """The image in a mode that can be resampled: L, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):
        return _from_16_bit(image)
    if image.mode == "F":
        raise Unusable("unsupported_format", "floating-point samples")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits scaled to 8; Pillow's own conversion clips it."""
    samples = np.asarray(image)
    if samples.min() < 0 or samples.max() > 65535:
        raise Unusable("unsupported_format", "samples of more than 16 bits")
    return Image.fromarray((samples // 257).astype(np.uint8))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as sRGB; a profile that cannot be used is dropped."""
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode=mode
            )
            return converted or image.convert(mode)
        except (ImageCms.PyCMSError, OSError):
            return image.convert(mode)
    return image.convert(mode)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


def encode_image(image: Image.Image, quality: int) -> bytes:
    """The one way in which pictures are stored: JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0, optimize=False)
    return buffer.getvalue()


def normalise_text(text: str, max_characters: int) -> str:
    """Bring a text to NFC with single spaces and none at the ends.

    Raises:
        Unusable: `lone_surrogate`, `control_characters` (any but newline and tab), `empty` or `too_long`.
    """
    text = text.replace("\r\n", "\n")
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs":
            raise Unusable("lone_surrogate", f"U+{ord(character):04X}")
        if category == "Cc" and character not in "\n\t":
            raise Unusable("control_characters", f"U+{ord(character):04X}")
    text = " ".join(text.split())
    # Normalising takes quadratic time on a long run of combining marks, so what cannot fit is not tried.
    if len(text) <= NFC_SHRINK * max_characters:
        text = " ".join(unicodedata.normalize("NFC", text).split())
    if not text:
        raise Unusable("empty")
    if len(text) > max_characters:
        raise Unusable("too_long", "", len(text), max_characters)
    return text
