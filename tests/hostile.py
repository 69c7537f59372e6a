"""Makes folders and files of hostile inputs; each maps to the reason it is dropped for, or to "" if kept."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

SIDE = 96


def picture(mode: str = "RGB", side: int = SIDE) -> Image.Image:
    """A smooth picture of random blobs, in a mode that RGB converts to."""
    noise = np.random.default_rng(side).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of a Pillow format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int) -> bytes:
    """A small PNG of side x side black pixels."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _webp_bomb() -> bytes:
    """A lossless WebP whose header claims 16383x16383."""
    data = bytearray(encoded(picture(), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    data[at : at + 4] = struct.pack("<I", 16382 | 16382 << 14)
    return bytes(data)


def _bmp_bomb() -> bytes:
    data = bytearray(encoded(picture(), "BMP"))
    data[18:26] = struct.pack("<ii", 60000, 60000)
    return bytes(data)


def _grey_16() -> Image.Image:
    return Image.fromarray(
        (np.arange(SIDE * SIDE, dtype=np.uint32) * 7).astype(np.uint16).reshape(SIDE, SIDE)
    )


def _oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture().crop((0, 0, SIDE, 64)), kind, exif=exif)


def _see_through(mode: str) -> Image.Image:
    image = picture("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.quantize(64, method=Image.Quantize.FASTOCTREE) if mode == "P" else image.convert(mode)


def _good() -> dict[str, bytes]:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    frames = [picture(), picture().rotate(180)]
    good = {f"exif/{o}.jpg": _oriented("JPEG", o) for o in range(1, 10)}
    good |= {
        f"exif/{o}.{kind.lower()}": _oriented(kind, o) for o in (3, 6) for kind in ("PNG", "WEBP", "TIFF")
    }
    good |= {f"alpha/{mode}.png": encoded(_see_through(mode), "PNG") for mode in ("P", "LA", "RGBA")}
    good |= {
        "alpha/RGBA.webp": encoded(_see_through("RGBA"), "WEBP", lossless=True),
        "alpha/colour-key.png": encoded(picture("L"), "PNG", transparency=9),
        "16-bit.png": encoded(_grey_16(), "PNG"),
        "16-bit.tif": encoded(_grey_16(), "TIFF"),
        "32-bit.tif": encoded(Image.fromarray(np.asarray(_grey_16(), dtype=np.int32)), "TIFF"),
        "cmyk.jpg": encoded(picture("CMYK"), "JPEG"),
        "cmyk.tif": encoded(picture("CMYK"), "TIFF"),
        "cmyk wrong profile.jpg": encoded(picture("CMYK"), "JPEG", icc_profile=srgb),
        "lab.tif": encoded(ImageCms.profileToProfile(picture(), _srgb(), _lab(), outputMode="LAB"), "TIFF"),
        "one-bit.png": encoded(picture("1"), "PNG"),
        "palette.gif": encoded(picture("P"), "GIF"),
        "profile broken.jpg": encoded(picture(), "JPEG", icc_profile=b"no profile"),
        "profile.png": encoded(picture(), "PNG", icc_profile=srgb),
        "multi-picture.jpg": encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]),
        "png named.jpg": encoded(picture(), "PNG"),
        "no suffix": encoded(picture(), "BMP"),
        "name with\nnewline.jpg": encoded(picture(), "JPEG"),
        "comment.jpg": encoded(picture(), "JPEG", comment=b"x" * 9000),
        os.fsdecode(b"not-utf8-\xff.jpg"): encoded(picture(), "JPEG"),
        "a, b; 'c' %41 \u202egnp.png": encoded(picture(), "PNG"),
        "padded.jpg": encoded(picture(), "JPEG") + bytes(100_000),
    }
    return good


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _lab() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


def _bad() -> dict[str, tuple[bytes, str]]:
    jpeg, frames = encoded(picture(), "JPEG"), [picture(), picture().rotate(180)]
    bad = {
        f"cut.{k.lower()}": (encoded(picture(), k)[:-300], "cut")
        for k in ("JPEG", "PNG", "WEBP", "GIF", "BMP")
    }
    bad |= {f"head-{n}.jpg": (jpeg[:n], "cut") for n in (4, 11, 30, 200)}
    bad |= {
        f"animated.{k.lower()}": (encoded(frames[0], k, save_all=True, append_images=frames[1:]), "animated")
        for k in ("GIF", "PNG", "WEBP", "TIFF")
    }
    flipped = bytearray(encoded(picture(), "PNG"))
    flipped[len(flipped) // 2] ^= 0xFF
    bad |= {
        "empty.jpg": (b"", "empty"),
        "zeros.png": (bytes(5000), "unsupported_format"),
        "text.jpg": (b"I am a text, honestly.\n" * 9, "unsupported_format"),
        "page.png": (b"<!doctype html><html></html>", "unsupported_format"),
        "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported_format"),
        "drawing.jpg": (
            b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            "unsupported_format",
        ),
        "archive.jpg": (b"PK\x03\x04" + bytes(200), "unsupported_format"),
        "document.png": (b"%PDF-1.7\n", "unsupported_format"),
        "script.gif": (b"#!/bin/sh\necho hello\n", "unsupported_format"),
        "postscript.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "unsupported_format"),
        "icon.jpg": (encoded(picture(), "ICO"), "unsupported_format"),
        "pixmap.png": (encoded(picture(), "PPM"), "unsupported_format"),
        "float.tif": (encoded(picture("F"), "TIFF"), "unsupported_format"),
        "bit flipped.png": (bytes(flipped), "cut"),
        "bomb.png": (png_bomb(20_000), "too_many_pixels"),
        "bomb under pillow's cap.png": (png_bomb(8_000), "too_many_pixels"),
        "bomb.webp": (_webp_bomb(), "too_many_pixels"),
        "bomb.bmp": (_bmp_bomb(), "too_many_pixels"),
        "pixel.png": (encoded(picture(side=1), "PNG"), "too_small"),
        "thin.png": (encoded(Image.new("RGB", (4000, 40)), "PNG"), "too_small"),
        "small.gif": (encoded(picture("P", side=31), "GIF"), "too_small"),
    }
    return bad


def hostile_folder(root: Path, big: bool = True) -> dict[str, str]:
    """Fill a folder; returns what each name must come to: "" for kept, a reason, or `cut` (damaged).

    Args:
        root: The folder, which is made; files beside it are made for links to lead to.
        big: Also a sparse file of 50 MB.
    """
    root.mkdir()
    bad = _bad()
    expected = {name: "" for name in _good()} | {name: reason for name, (_, reason) in bad.items()}
    for name, data in (_good() | {name: data for name, (data, _) in bad.items()}).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    if big:
        (root / "padded to 50 MB.jpg").write_bytes(encoded(picture(), "JPEG"))
        os.truncate(root / "padded to 50 MB.jpg", 50_000_000)
        expected["padded to 50 MB.jpg"] = "too_many_bytes"
    return expected | _links(root)


def _links(root: Path) -> dict[str, str]:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(encoded(picture(), "JPEG"))
    (root / "link out.jpg").symlink_to(outside / "secret.jpg")
    (root / "relative out.jpg").symlink_to("../outside/secret.jpg")
    (root / "folder out").symlink_to(outside)
    (root / "root link").symlink_to("/")
    (root / "link in.jpg").symlink_to("comment.jpg")
    (root / "folder in").symlink_to("exif")
    (root / "broken link.jpg").symlink_to("nothing.jpg")
    (root / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(root / "pipe.jpg")
    outsiders = dict.fromkeys(
        ("link out.jpg", "relative out.jpg", "folder out", "root link"), "outside_folder"
    )
    failing = {"broken link.jpg": "FileNotFoundError", "loop.jpg": "RuntimeError"}
    return outsiders | failing | {"link in.jpg": "", "folder in": "not_a_file", "pipe.jpg": "not_a_file"}


LINES: list[tuple[bytes, str]] = [
    (b"a fine text", ""),
    (b"with NUL \0 inside", "control_characters"),
    (b"bell \x07", "control_characters"),
    (b"escape \x1b[31m", "control_characters"),
    ("delete \x7f and C1 \x85".encode(), "control_characters"),
    (b"latin-1 caf\xe9", "not_utf8"),
    (b"overlong \xc0\xaf", "not_utf8"),
    (b"utf-8 surrogate \xed\xa0\x80", "not_utf8"),
    (b"m" * 1_000_000, "too_long"),
    (b"l" * 1_048_576, "too_long"),
    (b"w" * 3_000_000, "too_long"),
    (("e" + "\u0301\u0323" * 2_000).encode(), "too_long"),
    (("e" + "\u0301\u0323" * 200_000).encode(), "too_long"),
    (b"", "empty"),
    (b" \t ", "empty"),
    ("\u3000\u2003".encode(), "empty"),
    ("שלום \u202eעולם 😂👩‍👩‍👧".encode(), ""),
    (b"tab\tand  spaces", ""),
]
"""Lines of a text file and what each must come to."""


def hostile_lines(path: Path) -> list[str]:
    """Write a `.txt` of hostile lines; returns the expected reasons in order."""
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(line + b"\n" for line, _ in LINES))
    return [reason for _, reason in LINES]


def hostile_jsonl(path: Path) -> list[str]:
    """Write a `.jsonl` of hostile lines; returns the expected reasons in order."""
    lines = [
        (b'{"text": "fine", "license": "CC0", "n": 1}', ""),
        (b'{"text": "lone \\ud800 surrogate"}', "lone_surrogate"),
        (b'{"text": "fine", "license": "\\udfff"}', ""),
        (b'{"text": "nul \\u0000"}', "control_characters"),
        (b'{"text": "pair \\ud83d\\ude02"}', ""),
        (b'{"text": ', "malformed"),
        (b'{"text": 7}', "malformed"),
        (b'{"other": "x"}', "malformed"),
        (b'["text"]', "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"text": "x", "n": ' + b"9" * 10_000 + b"}", "malformed"),
        (b'{"text": "caf\xe9"}', "not_utf8"),
        (json.dumps({"text": "y" * 1_100_000}).encode(), "too_long"),
        (b"", "malformed"),
    ]
    path.write_bytes(b"".join(line + b"\n" for line, _ in lines))
    return [reason for _, reason in lines]


def hostile_csv(path: Path) -> list[str]:
    """Write a `.csv` of hostile records; returns the expected reasons in order."""
    records = [
        (b'1,"fine, and quoted"', ""),
        (b'2,"two\nlines"', ""),
        (b"3", "malformed"),
        (b"4,a,comma", "malformed"),
        (b'5,"quote" in the middle', "malformed"),
        (b"6,nul \0", "control_characters"),
        (b"7,caf\xe9", "not_utf8"),
        (b"8," + b"z" * 1_100_000, "too_long"),
        (b"9,", "empty"),
        (b'10,"never closed', "malformed"),
    ]
    path.write_bytes(b"image,caption\r\n" + b"".join(record + b"\r\n" for record, _ in records))
    return [reason for _, reason in records]
