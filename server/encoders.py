"""Encoders, loaded beside what the server does and let go when no store needs them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import Error
from core.types import EncoderSpec
from server.batching import Batched, Batching

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder

log = logging.getLogger(__name__)
LONGEST_WAIT_S = 60.0
Load = Callable[[EncoderSpec], "Encoder"]
WantedEncoder = tuple[str, str]  # an encoder's name, and the fingerprint of the store it is to fit


class Retry:
    """What failed is tried again after twice the time, and said once."""

    def __init__(self) -> None:
        self._wait, self._until, self._said = 1.0, 0.0, ""

    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def fail(self, what: str, error: Exception) -> None:
        """Only what is no sentence for people has a traceback."""
        if self._said != str(error) or not self._until:
            self._said = str(error)
            is_plain = isinstance(error, (Error, OSError))
            log.error("%s error=%s", what, error, exc_info=None if is_plain else error)
        self._until = time.monotonic() + self._wait
        self._wait = min(LONGEST_WAIT_S, 2 * self._wait)

    def reset(self) -> None:
        self._wait, self._until, self._said = 1.0, 0.0, ""


@dataclass(frozen=True, slots=True)
class Held:
    """An encoder, warm, or None while it is loading and where it does not load; the log says why."""

    encoder: Batched | None
    is_loading: bool


class Encoders:
    """Encoders by name and fingerprint, each loaded once and in a thread of its own."""

    def __init__(self, load: Load, tell: Callable[[], None]) -> None:
        """`tell` is called by that thread once an encoder can be got, or does not load."""
        self._load, self._tell = load, tell
        self.batching = Batching()  # of those that are loaded from now on
        self._loadings: dict[WantedEncoder, _Loading] = {}

    def get(self, spec: EncoderSpec) -> Held:
        """What there is of it now; asked for the first time, it begins to load."""
        loading = self._loadings.setdefault((spec.name, spec.fingerprint), _Loading())
        if loading.encoder is None and not loading.is_running and loading.patience.is_over():
            loading.is_running = True
            # A daemon: a load cannot be stopped, and a server that is told to end does not wait for it.
            name = f"load {spec.name}"
            threading.Thread(target=self._run, args=(spec, loading), name=name, daemon=True).start()
        is_loading = loading.is_running  # read first: it ends after the encoder is there
        return Held(loading.encoder, is_loading)

    @property
    def is_loading(self) -> bool:
        """Whether any is on its way."""
        return any(loading.is_running for loading in [*self._loadings.values()])

    def keep(self, wanted: Collection[WantedEncoder]) -> None:
        """Let all others go."""
        self._loadings = {key: held for key, held in self._loadings.items() if key in wanted}

    def close(self) -> None:
        """Let their threads end once they are idle."""
        for loading in [*self._loadings.values()]:
            if loading.encoder is not None:
                loading.encoder.close()

    def _run(self, spec: EncoderSpec, loading: _Loading) -> None:
        name, began = spec.name, time.perf_counter()
        try:
            encoder = self._load(spec)
            with suppress(Error):  # an encoder without texts
                encoder.texts(["warm"])
            loading.encoder = Batched.over(encoder, spec, self.batching)
            log.info("encoder loaded name=%s seconds=%.2f", name, time.perf_counter() - began)
        except Exception as error:  # a thread's edge: no memory, no module, a stranger's bug
            if not threading.main_thread().is_alive():
                return  # the process ends, so that nothing can be imported any more
            loading.patience.fail(f"encoder does not load name={name}", error)
        finally:
            loading.is_running = False
        self._tell()


class _Loading:
    """One encoder on its way."""

    def __init__(self) -> None:
        self.encoder: Batched | None = None
        self.is_running = False
        self.patience = Retry()
