"""What a file is by its own bytes, before FFmpeg opens it: a picture, a text, a playlist, encrypted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

from core.errors import VideoError
from extractor.media import jpeg

HEAD_BYTES = 4096

_PLAYLISTS = (
    b"#extm3u",
    b"ffconcat",
    b"[playlist]",
    b"<asx",
    b"<smil",
    b"v=0\r\n",
    b"v=0\n",
    b"<mpd",
    b"rtsptext",
)
_JPEG = b"\xff\xd8\xff"
_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
_PICTURES = {
    _JPEG: "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"8BPS": "Photoshop",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
}
_JPEG2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"msf1")
_JPEG_BRANDS = (b"jp2 ", b"jpx ", b"jxl ")
_MPEG_IN_MOV = b"mhlrMPEG"  # of a handler: what is inside is opened as MPEG
_MOV_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot")
_CONTAINERS = (b"\x1aE\xdf\xa3", b"RIFF", b"FLV", b"OggS", b"0&\xb2u", b"\0\0\1", b".RMF", b"\x06\x0e+4")
_SUFFIXES = (
    " .3g2 .3gp .asf .avi .divx .dv .f4v .flv .m2t .m2ts .m2v .m4v .mj2 .mjpeg .mjpg .mkv .mlv .mov .mp4 "
    ".mpeg .mpg .mts .mxf .ogm .ogv .qt .rm .rmvb .ts .vob .webm .wmv .wtv .y4m "
)
_TO_ENTRIES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")  # one in the other
_MOST_BOXES = 200_000  # of a level: days in fragments of a second; a file full of empty ones is no video
_ENCRYPTED = (b"encv", b"drmi")
_SMALL_BYTES = 1 << 18


class NotVideo(VideoError):
    """A text, a song, a playlist: in a folder it is passed over, named directly it is an error."""

    why: ClassVar[str] = "not_video"


class Still(VideoError):
    """A single picture, or a sound with a cover."""

    why: ClassVar[str] = "still"


def shown_name(path: Path) -> str:
    """The file's name as people read it; bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(path.name).decode(errors="replace")


def refuse(path: Path) -> bytes:
    """Raise for what must not or need not be opened; the first bytes of everything else."""
    name = shown_name(path)
    head = _head(path, name)
    if not head:
        raise VideoError(f"{name} is empty (0 bytes).")
    if _is_playlist(head):
        raise NotVideo(f"{name} is a playlist: it names other files and is not opened; give those files.")
    if kind := _picture(path, head):
        raise Still(f"{name} is a picture ({kind}), not a video.")
    if _is_text(head):
        raise NotVideo(f"{name} is text, not a video.")
    return head


def is_known_video(path: Path, head: bytes) -> bool:
    """Whether a file that cannot be opened was meant to be a video, and not some other kind of file."""
    known = head[4:8] in _MOV_BOXES or head.startswith(_CONTAINERS) or head[:1] == head[188:189] == b"G"
    return known or is_called_video(path.name)


def is_called_video(name: str) -> bool:
    """Whether its suffix says that it is a video: then it is worth a word where it is none."""
    suffix = os.path.splitext(name)[1].lower()
    return bool(suffix) and f" {suffix} " in _SUFFIXES


def is_mov(head: bytes) -> bool:
    """Whether FFmpeg, which tries hundreds of formats on a file's first bytes, takes it for an mp4 or mov."""
    return head[4:8] == b"ftyp" and head[8:12] not in _JPEG_BRANDS and _MPEG_IN_MOV not in head


def is_encrypted(path: Path, head: bytes) -> bool:
    """Whether an mp4 or mov describes an encrypted picture track."""
    if head[4:8] not in _MOV_BOXES:
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= _SMALL_BYTES and not _is_named(file.read()):
                return False  # a look at all of it costs less than the way to the right boxes
            return any(tag in _ENCRYPTED for tag in _sample_entries(file, 0, size, _TO_ENTRIES))
    except OSError:
        return False


def _is_named(data: bytes) -> bool:
    return any(data.rfind(tag) >= 0 for tag in _ENCRYPTED)  # from behind it is found several times as fast


def _head(path: Path, name: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            raise VideoError(f"{name} is not a plain file.")
        with open(path, "rb", buffering=0) as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise VideoError(f"{name} cannot be read: {error.strerror}.") from error


def _is_playlist(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lowered = text[:16].lower()
    if lowered.startswith(_PLAYLISTS):
        return True
    return lowered.startswith(b"<?xml") and any(mark in text for mark in (b"<MPD", b"<smil", b"<playlist"))


def _picture(path: Path, head: bytes) -> str:
    """The kind of picture, or nothing. An animated PNG and a HEIF or AVIF sequence are videos."""
    if head.startswith(_PNG):
        return "" if b"acTL" in head else "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
        return "" if _has_movie(path) else head[8:12].decode()
    if head.startswith(_JPEG2000):
        return "" if head[20:24] == b"mjp2" else "JPEG 2000"
    if head.startswith(_JPEG) and path.suffix.lower() not in _JPEG_SUFFIXES and jpeg.is_film(path):
        return ""
    return next((kind for mark, kind in _PICTURES.items() if head.startswith(mark)), "")


def _is_text(head: bytes) -> bool:
    if b"\0" in head or head.startswith(b"YUV4MPEG2"):
        return False
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a character cut at the end
            return False
        text = head[: error.start].decode()
    return sum(not c.isprintable() and not c.isspace() for c in text) <= len(text) // 50


def _has_movie(path: Path) -> bool:
    with path.open("rb") as file:
        return any(kind == b"moov" for kind, _, _ in _boxes(file, 0, path.stat().st_size))


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box between two offsets; stops at what makes no sense."""
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        file.seek(start)
        header = file.read(16)
        size, kind, skip = int.from_bytes(header[:4]), header[4:8], 8
        if size == 1:
            size, skip = int.from_bytes(header[8:16]), 16
        elif size == 0:
            size = end - start
        if size < skip:
            return
        yield kind, start + skip, min(start + size, end)
        start += size


def _sample_entries(file: BinaryIO, start: int, end: int, way: tuple[bytes, ...]) -> Iterator[bytes]:
    """The kinds of the boxes at the end of the way."""
    for kind, inner, after in _boxes(file, start, end):
        if not way:
            yield kind
        elif kind == way[0]:
            yield from _sample_entries(file, inner + 8 * (kind == b"stsd"), after, way[1:])
