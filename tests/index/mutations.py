"""Files of a store as a bad disk or an enemy leaves them, opened and searched in a child process."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from core.errors import Error
from core.query import Condition, Filter, Where
from core.store import Store
from index import asked, mapped
from index.lexical import WORD_KINDS
from index.past import Past
from index.snapshot import Snapshot
from index.terms import terms

HUGE = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
ROOM_BYTES = 4 << 30  # of addresses, beyond what the child has: what asks for more is refused


@dataclass(frozen=True, slots=True)
class Mutation:
    """What becomes of the bytes of one file, by a seed."""

    seed: int
    path: str
    shortens: bool = True

    def of(self, data: bytes) -> bytes:
        """Another file."""
        found = self._of(data)
        return found if self.shortens else found + data[len(found) :]

    def _of(self, data: bytes) -> bytes:
        chance = np.random.default_rng(self.seed)
        act = int(chance.integers(0, 6))
        found = bytearray(data)
        at = int(chance.integers(0, max(1, len(found))))
        if chance.random() < 0.5:
            at = min(at, int(chance.integers(0, 256)))  # where headers are
        if act == 0 and found:
            found[at] ^= 1 << int(chance.integers(0, 8))
        elif act == 1:
            del found[at:]
        elif act == 2 and found:
            for _ in range(int(chance.integers(1, 20))):
                found[int(chance.integers(0, len(found)))] = int(chance.integers(0, 256))
        elif act == 3:
            found[at : at + 8] = int(chance.choice(np.array(HUGE, np.uint64))).to_bytes(8, "little")
        elif act == 4 and found:
            other = int(chance.integers(0, len(found)))
            found[at : at + 64] = found[other : other + 64]
        else:
            found += bytes(chance.integers(0, 256, int(chance.integers(1, 100)), np.uint8))
        return bytes(found)


def use(root: Path) -> None:
    """Everything that a search and an answer read, and what the next build takes over."""
    snapshot = Snapshot.open(Store.open(root))
    queries = np.random.default_rng(0).standard_normal((3, snapshot.store.spec.dim)).astype(np.float32)
    where = Where(must=(Condition("path", (("prefix", "films/"),)),))
    for name in snapshot.columns.names:
        snapshot.columns.get(name)
    for words in WORD_KINDS:
        snapshot.told(words, terms("text of films"), 20, some=True)
    masked = snapshot.masked(set(list(snapshot.sources.ids())[:2]))
    for view in (snapshot, masked):
        for kind in view.rows:
            found = view.search(kind, queries, 20) + view.search(
                kind, queries, 20, filter=Filter(where=where)
            )
            for hits in found:
                assert len(hits.segments) == len(hits.scores)
                assert all(np.isfinite([s.start, s.end]).all() for s in hits.segments)
    for id in list(snapshot.sources.ids()):
        snapshot.source(id)
        for kind in snapshot.rows:
            snapshot.vectors(id, kind)
    past = Past.of(snapshot, snapshot, asked.SAMPLE)
    drawn = past.draw(snapshot, asked.SAMPLE)
    for part in snapshot.parts:
        rows = past.rows(part.about.kind, drawn)
        assert rows is None or past.truth(part, rows) is None or len(rows)


def trusting(path: Path, held: object) -> None:
    """In place of comparing bytes with hashes: an enemy can make these fit."""


def undamaged(path: Path, held: object) -> list[str]:
    """The same, of what is compared whole."""
    return []


def crashes(root: Path, mutations: Sequence[Mutation], trusted: bool) -> list[str]:
    """What each of these mutations came to that is neither an answer nor an error in one sentence."""
    found: list[str] = []
    first, whole = 0, {each.path: (root / each.path).read_bytes() for each in mutations}
    while first < len(mutations):
        done, last_words = _in_child(root, mutations[first:], trusted)
        for path, data in whole.items() if last_words else ():
            replace(root / path, data)
        if last_words:
            found.append(f"{mutations[first + done]}: {last_words}")
        first += done + 1
    return found


def _in_child(root: Path, mutations: Sequence[Mutation], trusted: bool) -> tuple[int, str]:
    """How many came to a good end, and how the next one did not."""
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(root, mutations, trusted, sending))
    process.start()
    sending.close()
    done, says = 0, ""
    try:
        while not says and done < len(mutations):
            says = receiving.recv()
            done += not says
    except EOFError:
        process.join()
        says = f"it ended by {process.exitcode}"
    process.join()
    return done, says


def _child(root: Path, mutations: Iterable[Mutation], trusted: bool, sending: Connection) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, used + ROOM_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if trusted:
        mapped.require, mapped.damage = trusting, undamaged
    for mutation in mutations:
        path = root / mutation.path
        whole = path.read_bytes()
        replace(path, mutation.of(whole))
        says = said_by(lambda: use(root))
        replace(path, whole)
        sending.send(says)
        if says:
            return


def replace(path: Path, data: bytes) -> None:
    """By another file of that name: what has the old one mapped keeps it."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def said_by(act: Callable[[], object]) -> str:
    """What is wrong with how it ends; "" for an answer, or an error of one sentence."""
    try:
        act()
    except Error as error:
        text = str(error)
        return "" if text.endswith(".") and "\n" not in text else f"not one sentence: {text!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def mutations(root: Path, files: Sequence[Path], count: int, seed: int, trusted: bool) -> list[Mutation]:
    """So many, spread over these files. FAISS 1.15 itself reads on behind a file that ends within a number,
    so where sizes are not compared its files keep at least theirs."""
    names = [(str(path.relative_to(root)), not (trusted and path.suffix == ".faiss")) for path in files]
    return [Mutation(seed + number, *names[number % len(names)]) for number in range(count)]
