"""A photo, one picture in a file of its own, as an encoder sees it: upright, on white where it is clear."""

from __future__ import annotations

import struct
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from PIL import ExifTags, Image, WebPImagePlugin

from core.errors import VideoError
from core.types import Look
from extractor.media.picture import Lens, Pixels
from extractor.media.sniff import shown_name

_FORMATS = ("JPEG", "PNG", WebPImagePlugin.WebPImageFile.format)
_TURNS = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for what is in a file, and not for what a program did.
_OF_DATA = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, EOFError, struct.error)
_RGB = 0  # a matrix that says: these are no luma and chroma
Image.preinit()  # the formats are known before a process is forked for each file


def is_photo(head: bytes) -> bool:
    """Whether a file begins as a JPEG, PNG or WebP does."""
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def photo(path: Path, look: Look, most_pixels: int) -> Pixels:
    """uint8 [size, size, 3], of an animated one its first picture; a VideoError says why not. How large it is
    says its header: nothing larger is decoded."""
    name = shown_name(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd tags, and of what is large: that limit is ours
            pixels = _pixels(path, name, most_pixels)
    except Image.DecompressionBombError:
        raise _too_large(name, most_pixels) from None
    except _OF_DATA as error:
        raise VideoError(f"{name} cannot be decoded: it is damaged or cut short.") from error
    frame = VideoFrame.from_ndarray(pixels, "rgb24")
    frame.colorspace = _RGB
    return Lens(look, None)(frame)


def _pixels(path: Path, name: str, most_pixels: int) -> Pixels:
    with Image.open(path, formats=_FORMATS) as image:
        if image.width * image.height > most_pixels:
            raise _too_large(name, most_pixels, f" ({image.width} × {image.height})")
        opaque, turn = _opaque(image), _turn(image)
        return np.ascontiguousarray(opaque if turn is None else opaque.transpose(turn))


def _too_large(name: str, most_pixels: int, size: str = "") -> VideoError:
    return VideoError(f"{name} has more than {most_pixels / 1e6:g} megapixels{size}.")


def _opaque(image: Image.Image) -> Image.Image:
    """RGB; what lets through is laid on white, as most viewers show it."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    seen = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """As EXIF says, if it says anything: it may hold whatever, and the picture is there all the same."""
    with suppress(*_OF_DATA):
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return None
