"""What a user can meet, each shown as one sentence. Everything else is a bug and shows a traceback.

Error
├── UsageError      asked for what cannot be
├── VideoError      this video cannot be read; the job goes on without it
├── EncoderError    no such family, weights missing or not the ones named
│   └── NoTextsError this one reads no texts here, and why
├── StoreError      not a store, another format, another encoder, a file that fails its checksum
└── SnapshotError   none published, or it does not open
"""

from typing import ClassVar


class Error(Exception):
    """Shown to the user as one sentence."""

    exit_code = 1
    http_status = 500


class UsageError(Error):
    """Asked for what cannot be."""

    exit_code = 2
    http_status = 400

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field  # of a request, where it is about one


class VideoError(Error):
    """This video cannot be read; the job goes on without it."""

    http_status = 422
    why: ClassVar[str] = ""  # "not_video" | "still": what the log says of it in a folder instead of "failed"


class EncoderError(Error):
    """No such family, weights missing or not the ones named."""

    http_status = 503


class NoTextsError(EncoderError):
    """This encoder reads no texts here, and why, in words that name no file."""

    http_status = 409


class StoreError(Error):
    """Not a store, another format, another encoder, a file that fails its checksum."""

    http_status = 503


class SnapshotError(Error):
    """None published, or it does not open."""

    http_status = 503
