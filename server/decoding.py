"""What strangers send, decoded: each request's files in a process of their own, and only so many at once."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from core.errors import Error, VideoError
from core.query import Frames
from core.types import Look, Sampling
from server import temporary
from server.errors import ApiError
from server.limits import Slots, nobody
from server.settings import ServeSettings
from server.spent import Spent

if TYPE_CHECKING:
    from extractor.media.isolated import Limits
    from extractor.media.unknown import Bounds

log = logging.getLogger(__name__)
MEGA = 1_000_000
HELD_BYTES = 512 << 20  # of decoded pictures that wait; what is just being decoded comes on top


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """A file of a request: in which field it came, and what it holds."""

    field: str
    content: bytes | BinaryIO

    @property
    def name(self) -> str:
        """What errors call it; on disk it is called so as well, for as long as it is decoded."""
        return "the picture" if isinstance(self.content, bytes) else "the file"

    def write(self, folder: Path) -> Path:
        folder.mkdir()
        path = folder / self.name
        with path.open("xb") as file:
            if isinstance(self.content, bytes):
                file.write(self.content)
            else:
                self.content.seek(0)
                shutil.copyfileobj(self.content, file, 1 << 20)
        return path


@dataclass(frozen=True, slots=True)
class How:
    """How an encoder looks at pictures. sampling: which of a video's; None: a photo alone is taken."""

    look: Look
    sampling: Sampling | None = None


class _Held:
    """What was decoded and is still there: until it was searched with, it waits for a slot as all do."""

    def __init__(self) -> None:
        self._pixels: list[ref[NDArray[np.uint8]]] = []
        self._lock = threading.Lock()

    def add(self, found: Iterable[Frames]) -> None:
        with self._lock:
            self._pixels += [ref(frames.pixels) for frames in found]

    def require_room(self, spent: Spent) -> None:
        """Or 429, but for a request that was let in before."""
        with self._lock:
            self._pixels = [each for each in self._pixels if each() is not None]
            count = sum(map(_bytes, self._pixels))
        if count >= HELD_BYTES and not spent.is_in:
            raise ApiError(429, f"{count >> 20} MiB of pictures that were decoded wait to be searched with.")


def _bytes(pixels: ref[NDArray[np.uint8]]) -> int:
    held = pixels()
    return 0 if held is None else held.nbytes


class Decoding:
    """The one place that anything from outside is decoded through."""

    def __init__(
        self,
        slots: Slots,
        settings: ServeSettings,
        took: Callable[[float], None],
        waited: Callable[[float], None] = nobody,
    ) -> None:
        """took, waited: hear how many seconds a request's files were decoded for, and waited for that."""
        self._slots, self._settings, self._took, self._waited = slots, settings, took, waited
        self._held = _Held()

    async def frames(
        self, sent: Sequence[Sent], how: How, spent: Spent | None = None
    ) -> Mapping[str, Frames]:
        """Of each file, by its field; or the ApiError that says which cannot be decoded, and why."""
        if not sent:
            return {}
        spent = spent or Spent()
        work = partial(self.decoded, sent, how, spent)
        return await self._slots.run(work, self._waited, goes_on=spent.is_in)

    def decoded(self, sent: Sequence[Sent], how: How, spent: Spent | None = None) -> Mapping[str, Frames]:
        """The same, in the calling thread."""
        if how.look.run > 1:
            said = "the encoder looks at runs of pictures; what is sent with a request is not decoded for it."
            raise ApiError(409, f"{sent[0].field}: {said}", sent[0].field)
        spent = spent or Spent()
        self._held.require_room(spent)
        began, spent.is_in = time.perf_counter(), True
        try:
            with temporary.folder() as folder:
                paths = [each.write(folder / str(number)) for number, each in enumerate(sent)]
                found = self._called(paths, how, _field_of_all(sent), spent)
        except OSError as error:
            log.error("a file cannot be kept to be decoded error=%s", error)
            raise ApiError(503, "What was sent cannot be kept to be decoded; the log says why.") from error
        finally:
            spent.decoding_s += time.perf_counter() - began
        self._took(time.perf_counter() - began)
        self._held.add(frames for frames in found if isinstance(frames, Frames))
        for each, frames in zip(sent, found, strict=True):
            if isinstance(frames, VideoError):
                raise ApiError(422, f"{each.field}: {frames}", each.field)
        return {
            each.field: frames for each, frames in zip(sent, found, strict=True) if isinstance(frames, Frames)
        }

    def _called(self, paths: Sequence[Path], how: How, field: str, spent: Spent) -> list[Frames | VideoError]:
        from extractor.media import isolated, unknown

        name = paths[0].name if len(paths) == 1 else "one of the pictures"
        try:
            return isolated.call(
                self._limits(spent), name, unknown.frames_of, paths, how.look, how.sampling, self._bounds
            )
        except isolated.LostError as error:
            raise ApiError(error.http_status, f"{field}: {error}", field) from error
        except Error as error:  # none can be started
            log.error("nothing can be decoded error=%s", error)
            raise ApiError(503, "Nothing can be decoded now; the log says why.") from error

    def _limits(self, spent: Spent) -> Limits:
        from extractor.media.isolated import Limits

        left_s = round(max(0.0, self._settings.decode_seconds - spent.decoding_s), 3)
        return Limits(wall_s=left_s, cpu_s=left_s, log_format=self._settings.log_format)

    @property
    def _bounds(self) -> Bounds:
        from extractor.media.unknown import Bounds

        return Bounds(round(self._settings.max_megapixels * MEGA), self._settings.max_video_s)


def _field_of_all(sent: Sequence[Sent]) -> str:
    """The field that holds them all: "query" of "query[0].image" and "query[3].image"."""
    if len(sent) == 1:
        return sent[0].field
    return sent[0].field.partition("[")[0]
