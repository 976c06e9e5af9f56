"""Texts of requests that run side by side, encoded together; what was encoded lately is remembered."""

from __future__ import annotations

import threading
from asyncio import wrap_future
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core.stop import require_wanted
from core.types import EncoderSpec, Float32Array, IntArray
from server.cache import TextVector, VectorCache, vector_cache
from server.crew import Crew
from server.limits import nobody

if TYPE_CHECKING:
    from torch import Tensor

    from extractor.encoders.base import Encoder

T = TypeVar("T")
MOST_TEXTS = 16  # together: more gain little on a processor, and who comes next waits for all of them
_LOOK_S = 0.05  # how often who waits in a thread looks whether it still has to


@dataclass(frozen=True, slots=True)
class Batching:
    """By what rules texts are encoded, and who is told of it."""

    cache: VectorCache = field(default_factory=lambda: vector_cache(0))
    threads: int = 0  # of an encoder; 0: as many as torch has
    batched: Callable[[int], None] = nobody  # so many texts were encoded together
    looked_up: Callable[[bool], None] = nobody  # whether the cache had one


class TextQueue:
    """One encoder's texts. Whoever comes while it is busy goes into the next batch; when it is idle nobody
    waits. Who asks for what is being encoded waits for that."""

    def __init__(self, encoder: Encoder, spec: EncoderSpec, batching: Batching) -> None:
        self._encoder, self._batching = encoder, batching
        self._fingerprint = spec.fingerprint
        self.crew = Crew(1, f"encode {spec.name}")
        if batching.threads:
            self.crew.hand(partial(_compute_on, batching.threads))
        self._lock = threading.Lock()
        self._is_busy = False
        self._waiting: dict[str, list[Future[TextVector]]] = {}
        self._running: dict[str, list[Future[TextVector]]] = {}
        self._lasting: set[str] = set()  # of these, what is to be remembered

    def close(self) -> None:
        """Let its thread end once it is idle."""
        self.crew.close()

    def ask(self, text: str) -> Future[TextVector]:
        """Its vector, now or later. Cancelled by all who asked for it, a text drops out of the queue."""
        return self.ask_all([text])[0]

    def ask_all(self, texts: Sequence[str], *, lasting: bool = True) -> list[Future[TextVector]]:
        """The same of several, which an idle encoder takes together. lasting: remember them."""
        asked = [self._remembered(text) for text in texts]
        with self._lock:
            for text, each in zip(texts, asked, strict=True):
                if not each.done():
                    among = self._running if text in self._running else self._waiting
                    among.setdefault(text, []).append(each)
                    if lasting:
                        self._lasting.add(text)
            is_due = bool(self._waiting) and not self._is_busy
            self._is_busy |= is_due
        if is_due:
            Context().run(self.crew.hand, self._drain)  # in nobody's own context: it works for all
        return asked

    def _remembered(self, text: str) -> Future[TextVector]:
        asked: Future[TextVector] = Future()
        held = self._batching.cache.get((self._fingerprint, text))
        self._batching.looked_up(held is not None)
        if held is not None:
            asked.set_result(held)
        return asked

    def _drain(self) -> None:
        """One batch. The next one comes behind what else was handed to the encoder's thread meanwhile:
        texts do not keep pictures from it."""
        batch = self._next()
        if not batch:
            return
        try:
            self._encode(batch)
        except BaseException as error:  # a thread's edge: of this batch nobody waits for ever
            self._fail_all(error)
        finally:
            Context().run(self.crew.hand, self._drain)

    def _next(self) -> list[str]:
        with self._lock:
            wanted = {text: asked for text, asked in self._waiting.items() if not _is_dropped(asked)}
            self._lasting.intersection_update(wanted)
            batch = [*islice(wanted, MOST_TEXTS)]
            self._running = {text: wanted.pop(text) for text in batch}
            self._waiting = wanted
            self._is_busy = bool(batch)
            return batch

    def _encode(self, texts: Sequence[str]) -> None:
        try:
            vectors = host(self._encoder.texts(list(texts)))
            cut = self._encoder.too_long(list(texts))
            encoded = [
                (text, TextVector(vector.copy(), is_cut))
                for text, vector, is_cut in zip(texts, vectors, cut, strict=True)
            ]
        except Exception as error:  # a thread's edge: who asked gets it
            if len(texts) == 1:
                self._fail(texts[0], error)
            for text in texts if len(texts) > 1 else ():
                self._encode([text])  # one that cannot be encoded is nobody else's trouble
            return
        self._batching.batched(len(texts))
        for text, each in encoded:
            self._give(text, each)

    def _give(self, text: str, encoded: TextVector) -> None:
        encoded.vector.flags.writeable = False  # many share it
        if self._is_lasting(text):
            self._batching.cache.put((self._fingerprint, text), encoded)
        for asked in self._answered(text):
            asked.set_result(encoded)

    def _is_lasting(self, text: str) -> bool:
        with self._lock:
            return text in self._lasting

    def _fail(self, text: str, error: Exception) -> None:
        for asked in self._answered(text):
            asked.set_exception(error)

    def _fail_all(self, error: BaseException) -> None:
        failure = RuntimeError("Texts were not encoded.")  # what ends a thread must not end who waits for it
        failure.__cause__ = error
        for text in [*self._running]:
            self._fail(text, failure)

    def _answered(self, text: str) -> Iterator[Future[TextVector]]:
        with self._lock:
            asked = self._running.pop(text)
        return (each for each in asked if each.set_running_or_notify_cancel())


class Batched:
    """An encoder as all others know it, behind its queue. `known`: texts that were encoded beforehand."""

    spec: EncoderSpec

    def __init__(
        self,
        encoder: Encoder,
        queue: TextQueue,
        known: Mapping[str, TextVector] | None = None,
        *,
        lasting: bool = True,
    ) -> None:
        self._encoder, self._queue, self._known = encoder, queue, known or {}
        self._lasting = lasting

    @classmethod
    def over(cls, encoder: Encoder, spec: EncoderSpec, batching: Batching) -> Batched:
        """Of an encoder that is to fit that."""
        return cls(encoder, TextQueue(encoder, spec, batching))

    def close(self) -> None:
        """Let the encoder's thread end once it is idle."""
        self._queue.close()

    def once(self) -> Batched:
        """The same for texts that come in numbers: those would put all others out of the cache."""
        return Batched(self._encoder, self._queue, self._known, lasting=False)

    def __getattr__(self, name: str) -> Any:
        """Its spec, and what an encoder may have beside the contract."""
        return getattr(self._encoder, name)

    def features(self, pictures: Tensor) -> Tensor:
        """In the encoder's own thread: two at once would only take each other's cores."""
        return _awaited(self._queue.crew.hand(partial(self._encoder.features, pictures)))

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        return self._encoder.clips(features, index)

    def texts(self, texts: Sequence[str]) -> Tensor:
        import torch

        rows = [each.vector for each in self._all(texts)]
        return torch.from_numpy(np.stack(rows) if rows else np.empty((0, self.spec.dim), np.float32))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        others = [text for text in texts if text not in self._known]
        cut = dict(zip(others, self._encoder.too_long(others), strict=True)) if others else {}
        return [cut[text] if text in cut else self._known[text].is_cut for text in texts]

    def _all(self, texts: Sequence[str]) -> list[TextVector]:
        """A batch at a time, so that who asks for thousands holds up nobody for longer than that."""
        found: list[TextVector] = []
        for first in range(0, len(texts), MOST_TEXTS):
            some = texts[first : first + MOST_TEXTS]
            others = [text for text in some if text not in self._known]
            asked = dict(zip(others, self._queue.ask_all(others, lasting=self._lasting), strict=True))
            found += [self._known[text] if text in self._known else _awaited(asked[text]) for text in some]
        return found

    async def knowing(self, texts: Sequence[str]) -> Batched:
        """The same, once it has encoded these. Who stops waiting takes its texts out of the queue."""
        each_once = [*dict.fromkeys(texts)]
        asked = dict(zip(each_once, self._queue.ask_all(each_once), strict=True))
        try:
            known = {
                text: each.result() if each.done() else await wrap_future(each)
                for text, each in asked.items()
            }
        finally:
            for each in asked.values():
                each.cancel()
        return Batched(self._encoder, self._queue, known)


def _is_dropped(asked: Sequence[Future[TextVector]]) -> bool:
    return all(each.cancelled() for each in asked)


def host(rows: Tensor) -> Float32Array:
    """As float32 in the host's memory."""
    found: Float32Array = rows.detach().float().cpu().numpy()
    return found


def _awaited(asked: Future[T]) -> T:
    while True:
        try:
            return asked.result(_LOOK_S)
        except TimeoutError:
            if asked.done():  # the encoder's own
                return asked.result()
        try:
            require_wanted()
        except BaseException:
            asked.cancel()
            raise


def _compute_on(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
