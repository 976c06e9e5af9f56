"""What a browser is told that a file is."""

from __future__ import annotations

_OTHER = "application/octet-stream"
_BY_CONTAINER = {  # as FFmpeg calls them
    "asf": "video/x-ms-asf",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "gif": "image/gif",
    "mov,mp4,m4a,3gp,3g2,mj2": "video/mp4",
    "matroska,webm": "video/x-matroska",
    "mpeg": "video/mpeg",
    "mpegts": "video/mp2t",
    "mxf": "application/mxf",
    "ogg": "video/ogg",
}
_BY_SUFFIX = {
    ".mov": "video/quicktime",
    ".qt": "video/quicktime",
    ".webm": "video/webm",
    ".3gp": "video/3gpp",
    ".3g2": "video/3gpp2",
}
_SHARED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # containers that a suffix tells apart


def media_type(container: str, suffix: str) -> str:
    """By what the reader found inside; a name only chooses between what that may be."""
    found = _BY_CONTAINER.get(container, _OTHER)
    return _BY_SUFFIX.get(suffix.lower(), found) if container in _SHARED else found
