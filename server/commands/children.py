"""Verbs as processes of their own: what they say is passed on, and they end with whoever started them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.commands import VERBS
from core.errors import Error
from core.stop import Stop

LOOK_S = 0.2
_TIED = "server.commands.tied"
Hear = Callable[[str], None]


class Failed(Error):
    """A verb that was needed has failed: its own sentence, and its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Child:
    """One verb at work."""

    verb: str
    process: subprocess.Popen[str]
    hear: Hear
    sentences: list[str] = field(default_factory=list)  # why it fails, as it would tell a user

    def first_line(self) -> str:
        """What it says first on stdout; "" where it ended without a word."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """Ask it to end; it finishes what it has in hand."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def listen(self) -> None:
        """Pass on what it says to people, but keep the sentence that it may end with."""
        assert self.process.stderr is not None
        name = self.verb if self.verb == "extract" else f"cinedex {self.verb}"
        for line in self.process.stderr:
            if line.startswith(f"{name}: "):
                self.sentences.append(line.removeprefix(f"{name}: ").strip())
            else:
                self.hear(line.rstrip("\n"))

    def failure(self) -> Failed:
        """What to raise once it has ended so."""
        code = self.process.wait()
        how = f"ended with {code}" if code >= 0 else f"was ended by signal {-code}"
        said = "\n".join(self.sentences) or f"`cinedex {self.verb}` {how}."
        return Failed(said, code if code > 0 else 1)


@contextmanager
def child(words: Sequence[str], hear: Hear) -> Iterator[Child]:
    """Start `cinedex WORDS`; when the block is left it is ended and waited for. It is in a session of its
    own, so that Ctrl-C reaches it once, by us, and not twice."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", _TIED, *words],
        stdin=subprocess.PIPE,  # which it is tied by
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        verb = " ".join(words[: 2 if VERBS[words[0]].inner else 1])
        found = Child(verb, process, hear)
        ear = threading.Thread(target=found.listen, daemon=True)
        ear.start()
        try:
            yield found
        finally:
            found.end()
            process.wait()
            ear.join()


@dataclass(frozen=True, slots=True)
class Verbs:
    """Whoever runs verbs one after the other: who hears them, and what ends them."""

    hear: Hear
    stop: Stop
    meanwhile: Callable[[], None]  # again and again while one of them works

    def run(self, words: Sequence[str], good: Sequence[int] = (0,)) -> tuple[int, str]:
        """A verb to its end, or until the stop: its exit code, and what it wrote. Failed where it fails."""
        answers: list[str] = []
        with child(words, self.hear) as running:
            stdout = running.process.stdout
            assert stdout is not None
            reading = threading.Thread(target=lambda: answers.append(stdout.read()), daemon=True)
            reading.start()
            while running.process.poll() is None:
                if self.stop.wait(LOOK_S):
                    running.end()
                    running.process.wait()
                else:
                    self.meanwhile()
            reading.join()
        code = running.process.returncode
        if self.stop.is_set():
            return 130, "".join(answers)
        if code not in good:
            raise running.failure()
        for sentence in running.sentences:
            self.hear(sentence)
        return code, "".join(answers)
