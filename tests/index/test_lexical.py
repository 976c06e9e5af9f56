"""Files of words: opened by many, damaged by anybody."""

from __future__ import annotations

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import SnapshotError
from core.store import Store
from core.types import Line
from index import lexical, mapped
from index.build import build, build_snapshot
from index.check import damage
from index.gc import collect
from index.lexical import About, Passage, Words
from index.part import Run
from index.snapshot import Snapshot
from index.terms import Term, terms
from tests.index.spoken import Spoken, found_in, lived_in, spoken
from tests.index.worlds import source_id

RED = Term(("red",))


def made(folder: Path, *texts: str) -> About:
    folder.mkdir(exist_ok=True)
    run = Run(source_id(1), "subtitles", "", -1, 0, len(texts))
    return lexical.make(
        folder, "lines", [run], [[Passage("subtitles", text, n, n + 1) for n, text in enumerate(texts)]]
    )


def stamped(about: About, path: Path) -> About:
    """As who writes the manifest too would name a file."""
    return replace(about, files={**about.files, path.name: mapped.stamp(path)})


def test_the_same_passages_make_the_same_file(tmp_path: Path) -> None:
    first, second = (made(tmp_path / name, "a red sea", "赤") for name in ("a", "b"))
    assert first == second
    assert made(tmp_path / "a", "a red sea") != first


def test_passages_are_given_as_they_stand(tmp_path: Path) -> None:
    texts = ["A red,\nred sea…", "", "🎉", "x" * 100_000, "nul \0 in it"]
    words = Words.open(tmp_path, made(tmp_path, *texts))
    assert [words.text(row) for row in range(len(texts))] == texts
    assert words.matching(RED).tolist() == [0] and words.matching(Term(("it",))).tolist() == [4]
    assert words.rows["length"].tolist() == [4, 0, 0, 1, 3]


@pytest.mark.parametrize("suffix", ["words", "lines.npy"])
@pytest.mark.parametrize("harm", ["missing", "cut", "longer", "first", "last", "empty"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, suffix: str, harm: str) -> None:
    about = made(tmp_path, *("red" for _ in range(5_000)))
    path = tmp_path / f"{about.name}.{suffix}"
    data = path.read_bytes()
    harmed = {
        "cut": data[:-4096],
        "longer": data + b"\0",
        "first": b"\1" + data[1:],
        "last": data[:-1] + b"\1",
    }
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(harmed.get(harm, b""))
    with pytest.raises(SnapshotError, match=f"{about.name}.{suffix} is (missing|damaged)") as caught:
        Words.open(tmp_path, about)
    assert str(caught.value).count("\n") == 0


def test_bytes_that_nobody_looks_at_when_opening_never_crash(tmp_path: Path) -> None:
    """What a disk did in the middle of a file: an answer, or a sentence."""
    chance = np.random.default_rng(0)
    texts = [" ".join(chance.choice(["red", "sea", "naïve", "truck", "x"], 5)) for _ in range(3_000)]
    about = made(tmp_path, *texts)
    path = tmp_path / f"{about.name}.words"
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    said = set()
    for _ in range(60):
        harmed = whole.copy()
        at = chance.integers(0, len(whole), int(chance.integers(1, 400)))
        harmed[at] ^= (1 << chance.integers(0, 8, len(at))).astype(np.uint8)
        path.write_bytes(harmed.tobytes())
        try:
            words = Words.open(tmp_path, stamped(about, path))
            for term in (RED, Term(("sea", "red")), Term(("tr",), is_prefix=True)):
                assert (words.matching(term) < len(texts)).all()
            [words.text(row) for row in range(0, len(texts), 100)]
        except SnapshotError as error:
            said.add(str(error))
    assert said and all(sentence.count("\n") == 0 and path.name in sentence for sentence in said)


def harm_sqlite(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema=ON")
    connection.executescript(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE words",
        "DROP TABLE texts; CREATE VIEW texts AS SELECT 1 AS id, 'x' AS text",
        "DROP TABLE words; CREATE TABLE words(words)",
        "DROP TABLE words; CREATE VIEW words AS "
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT * FROM c",
        "DROP TABLE words; CREATE VIRTUAL TABLE words USING fts5(tokens)",
    ],
)
def test_other_tables_than_were_written_are_refused(tmp_path: Path, statement: str) -> None:
    about = made(tmp_path, "a red sea")
    path = tmp_path / f"{about.name}.words"
    harm_sqlite(path, statement)
    with pytest.raises(SnapshotError, match="other tables than were written"):
        Words.open(tmp_path, stamped(about, path)).matching(RED)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("INSERT INTO words(rowid, tokens) VALUES(7, 'red')", "passages that are not there"),
        ("INSERT INTO words(rowid, tokens) VALUES(-1, 'red')", "passages that are not there"),
        ("DELETE FROM texts", "not the text of passage 0"),
        ("UPDATE texts SET text = x'ff'", "not the text of passage 0"),
        ("UPDATE texts SET text = CAST(x'ff' AS TEXT)", "cannot be read: SQLite says"),
        ("DELETE FROM words_data", "cannot be read: SQLite says"),
    ],
)
def test_a_file_that_lies_is_one_sentence(tmp_path: Path, statement: str, says: str) -> None:
    about = made(tmp_path, "a red sea")
    path = tmp_path / f"{about.name}.words"
    harm_sqlite(path, statement)
    words = Words.open(tmp_path, stamped(about, path))
    with pytest.raises(SnapshotError, match=says):
        words.matching(RED)
        words.text(0)


def test_what_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    about = made(tmp_path, "a red sea")
    path = tmp_path / f"{about.name}.words"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(SnapshotError, match="SQLite says file is not a database"):
        Words.open(tmp_path, stamped(about, path)).matching(RED)


def test_nobody_writes_beside_it_and_names_with_any_characters_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%20 é"
    about = made(folder, "a red sea")
    before = sorted(folder.iterdir())
    words = Words.open(folder, about)
    assert words.matching(RED).tolist() == [0]
    assert sorted(folder.iterdir()) == before


def descriptors(under: Path) -> int:
    """Of files there: threads of other tests, which may still end, open and close theirs meanwhile."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found += Path(os.readlink(path)).is_relative_to(under)
    return found


@pytest.mark.usefixtures("unwatched")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors where Linux lists them")
def test_two_hundred_swaps_leave_no_descriptor_open(tmp_path: Path) -> None:
    lived = spoken(tmp_path / "store")
    lived.add(3, Line(0.0, 1.0, "red"))
    build(lived.store)
    counts = []
    for _ in range(200):
        view = Snapshot.open(lived.store)
        assert len(found_in(view.masked({source_id(1)}), "red")) == 2
        counts.append(descriptors(lived.store.root))
    del view
    assert 0 < max(counts) <= counts[0] + 4 and descriptors(lived.store.root) < counts[0]


def test_threads_ask_at_once_and_few_connections_stay(tmp_path: Path) -> None:
    lived = lived_in(tmp_path / "store", 1)
    build(lived.store)
    view = Snapshot.open(lived.store)
    queries = [f"{a} {b}" for a in ("red", "the", "sea", "猫*") for b in ("blue", "a", "tru*", '"the a"')] * 8
    alone = [found_in(view, query) for query in queries]
    fresh = Snapshot.open(lived.store)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda query: found_in(fresh, query), queries)) == alone
    assert 0 < sum(len(words.part._lent._idle) for words in fresh.words) <= max(32, len(fresh.words))


@pytest.mark.parametrize(("beside", "kept"), [(1, 32), (4, 8), (48, 1)])
def test_of_many_files_each_keeps_few_connections(tmp_path: Path, beside: int, kept: int) -> None:
    words = Words.open(tmp_path, made(tmp_path, "red sea"), beside)
    with ExitStack() as lent:
        for _ in range(40):
            lent.enter_context(words._lent.lent())
    assert len(words._lent._idle) == kept


def test_a_connection_that_another_thread_takes_first_is_opened_anew(tmp_path: Path) -> None:
    class Taken(list[sqlite3.Connection]):
        def __bool__(self) -> bool:
            return True  # as it was a moment ago

    words = Words.open(tmp_path, made(tmp_path, "red sea"))
    words._lent._idle = Taken()
    assert words.matching(RED).tolist() == [0]


def test_what_was_found_lately_is_kept_within_bounds(tmp_path: Path) -> None:
    words = Words.open(tmp_path, made(tmp_path, *("red sea" for _ in range(100))))
    for number in range(2_000):
        words.matching(Term((f"w{number}",)))
        assert words.matching(RED).tolist() == list(range(100))
    assert sum(len(found) + 1 for found in words._recent._held.values()) <= 1_600


@pytest.fixture
def lived(tmp_path: Path) -> Spoken:
    found = lived_in(tmp_path / "store", 2)
    build(found.store)
    return found


def test_a_check_of_all_files_looks_at_words(lived: Spoken) -> None:
    assert list(damage(lived.store.root)) == []
    for suffix in lexical.SUFFIXES:
        (path, *_) = (lived.store.root / "parts").glob(f"*.{suffix}")
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        (said,) = damage(lived.store.root)
        assert path.name in said
        path.write_bytes(whole)
    words = Snapshot.open(lived.store).words[0].about.name
    (lived.store.root / "parts" / f"{words}.json").unlink()
    (said,) = damage(lived.store.root)
    assert said.endswith("snapshot 1 needs it.")


def test_gc_keeps_the_words_of_what_it_keeps_and_no_others(lived: Spoken) -> None:
    build_snapshot(lived.store, fresh=True)
    for number in range(3):
        lived.add(1, Line(0.0, 1.0, f"red {number}"))
        build(lived.store)
    collect(lived.store, keep=1, age_s=0.0, written_age_s=0.0)
    view = Snapshot.open(lived.store)
    there = {path.name for path in (lived.store.root / "parts").iterdir()}
    held = {f"{w.about.name}.{suffix}" for w in view.words for suffix in (*lexical.SUFFIXES, "json")}
    parts = {f"{p.about.name}.{suffix}" for p in view.parts for suffix in ("faiss", "rows.npy", "json")}
    assert there == held | parts
    assert list(damage(lived.store.root)) == []


def test_words_that_are_damaged_are_made_anew_by_the_next_build(lived: Spoken) -> None:
    wanted = found_in(Snapshot.open(lived.store), "the")
    (path, *_) = (lived.store.root / "parts").glob("*.words")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotError):
        Snapshot.open(lived.store)
    build_snapshot(lived.store, fresh=True)
    assert found_in(Snapshot.open(lived.store), "the") == wanted
    assert list(damage(lived.store.root)) == []


def test_a_snapshot_from_before_there_were_words_opens_and_the_next_build_adds_them(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[1] / "data" / "store-v1", tmp_path / "toy-rgb")
    store = Store.open(tmp_path / "toy-rgb")
    view = Snapshot.open(store)
    assert view.told("names", terms("sample"), 5) == ([], True) and view.words == ()
    assert build_snapshot(store).made and not build_snapshot(store).made
    told, _ = Snapshot.open(store).told("names", terms("sample"), 5)
    assert {each.origin for each in told} == {"path"}
