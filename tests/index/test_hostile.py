"""Files that are damaged, cut off or forged are refused in one sentence, and never end the process."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest

from core import files
from core.errors import SnapshotError
from core.store import Store
from core.types import Kind
from index import asked, faissfile, mapped, merge
from index.build import build_snapshot, publish
from index.sample import sampled
from index.snapshot import Snapshot, read_manifest
from tests.index import mutations
from tests.index.worlds import DIM, lived_in, world

FACTORIES: dict[Kind, str] = {"frame": "IVF2,SQ8", "clip": "IVF2,SQfp16"}
Held = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    faiss.omp_set_num_threads(1)  # those of OpenMP do not survive a fork


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with flat parts, published as 1, and one with lists, as 2."""
    lived = lived_in(tmp_path_factory.mktemp("origin") / "store")
    build_snapshot(lived.store, part_rows=30)
    build_snapshot(lived.store, part_rows=40, factories=FACTORIES, publish=False)
    return lived.store.root


@pytest.fixture
def root(origin: Path, tmp_path: Path) -> Path:
    return shutil.copytree(origin, tmp_path / "store")


def read_by_search(root: Path, number: int) -> list[Path]:
    """All files of a snapshot and of its parts."""
    held = read_manifest(root / "snapshots" / f"{number:06d}")
    names = {about["name"] for about in (*held["parts"], *held["words"])}
    in_parts = [path for path in (root / "parts").iterdir() if path.name.partition(".")[0] in names]
    return sorted([root / "CURRENT", *(root / "snapshots" / f"{number:06d}").iterdir(), *in_parts])


def assert_refused(root: Path, number: int, trusted: bool, count: int) -> None:
    publish(Store.open(root), number)
    seed = random.randrange(1 << 30)
    made = mutations.mutations(root, read_by_search(root, number), count, seed, trusted)
    assert mutations.crashes(root, made, trusted) == [], f"seed {seed}"
    mutations.use(root)


@pytest.mark.parametrize("trusted", [False, True], ids=["hashes compared", "hashes forged"])
@pytest.mark.parametrize("number", [1, 2], ids=["flat", "lists"])
def test_no_mutation_of_any_file_does_more_than_be_refused(root: Path, number: int, trusted: bool) -> None:
    assert_refused(root, number, trusted, 80)


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True], ids=["hashes compared", "hashes forged"])
@pytest.mark.parametrize(
    "factory",
    ["Flat", "IVF4,SQfp16", "IVF4,SQ8", "IVF4,RaBitQ4", "IVF4,PQ4x4", "IVF4_HNSW4,SQfp16", "PCA4,IVF4,SQ8"],
)
def test_nor_does_any_of_many_more(tmp_path: Path, factory: str, trusted: bool) -> None:
    lived = lived_in(tmp_path / "store")
    lived.add(20)
    asked = {"frame": factory, "clip": factory}
    build_snapshot(lived.store, part_rows=100, factories=asked, publish=False)  # type: ignore[arg-type]
    assert_refused(lived.store.root, 1, trusted, 500)


def forged(root: Path, change: Callable[[Held], object]) -> None:
    """Another snapshot.json, with a seal that fits, published."""
    folder = root / "snapshots" / "000001"
    held = read_manifest(folder)
    change(held)
    (folder / "snapshot.json").write_text(files.sealed(held))
    (root / "CURRENT").write_text(f"000001 {files.hash_file(folder / 'snapshot.json')}\n")


CALIBRATION = {"references": {"clip": {"text": {"spread": 1, "most": 1}}}}
MANIFESTS: list[Callable[[Held], object]] = [
    lambda held: held.clear(),
    lambda held: held.update(format=1, parts="none"),
    lambda held: held.update(entry="1"),
    lambda held: held.update(files=[]),
    lambda held: held["files"].clear(),
    lambda held: held["files"]["sources.arrow"].pop("ends"),
    lambda held: held["files"]["sources.arrow"].update(bytes="1"),
    lambda held: held["parts"].append(None),
    lambda held: held["parts"][0].pop("files"),
    lambda held: held["parts"][0]["files"].clear(),
    lambda held: held["parts"][0].update(name="../../../etc/passwd"),
    lambda held: held["parts"][0].update(shards=["../.."]),
    lambda held: held["parts"][0].update(shards=[7]),
    lambda held: held["parts"][0].update(kind="smell"),
    lambda held: held["parts"][0].update(dim=1 << 40),
    lambda held: held["parts"][0].update(dim=DIM + 1),
    lambda held: held["parts"][0].update(rows=1 << 60),
    lambda held: held["parts"][0].update(rows=held["parts"][0]["rows"] - 1),
    lambda held: held["parts"][0].update(live=-1),
    lambda held: held["parts"][0].update(live=held["parts"][0]["live"] - 1),
    lambda held: held.update(effort=3),
    lambda held: held.update(effort={"frame": {"lists": 1}}),
    lambda held: held.update(effort={"frame": {"lists": -1, "candidates": 1}}),
    lambda held: held["parts"][0].update(trained="frame-" + "0" * 32, lossy="yes", rows=0, live=0),
    lambda held: held["parts"][0].update(trained=3),
    lambda held: held["files"]["sources.arrow"].update(head="x"),
    lambda held: held.pop("created"),
    lambda held: held.update(sources="x"),
    lambda held: held.update(rows=3),
    lambda held: held.update(words=3),
    lambda held: held.update(words=[{}]),
    lambda held: held.update(words=[3]),
    lambda held: held["words"][0].update(name="../../../../etc/x"),
    lambda held: held["words"][0].update(kind="smell"),
    lambda held: held["words"][0].update(kind=[]),
    lambda held: held["words"][0].update(length="x"),
    lambda held: held["words"][0].update(length=0),
    lambda held: held["words"][0].update(length=-1, live=0),
    lambda held: held["words"][0].update(live=held["words"][0]["rows"] + 1),
    lambda held: held["words"][0]["files"].clear(),
    lambda held: held["words"][0].update(files={"x": 3}),
    lambda held: held.update(calibration=3),
    lambda held: held.update(calibration={"references": 3}),
    lambda held: held.update(calibration={"references": {"clip": 3}}),
    lambda held: held.update(calibration={"references": {"smell": {}}}),
    lambda held: held.update(calibration={"references": {"clip": {"text": {"x": 1}}}}),
    lambda held: held.update(calibration={"references": {"clip": {"text": {"spread": 0, "most": 1}}}}),
    lambda held: held.update(calibration={"references": {"clip": {"text": {"spread": "x", "most": 1}}}}),
    lambda held: held.update(calibration={"references": {"clip": {"smell": {"spread": 1, "most": 1}}}}),
    lambda held: (held.update(calibration=CALIBRATION), held["files"].pop("clip.sample.npy", None)),
    lambda held: held.update(calibration={"references": {}, "scale": [1]}),
    lambda held: held.update(calibration={"references": {}, "scale": {"middle": "x"}}),
    lambda held: held.update(effort={"smell": {"lists": 1, "candidates": 1}}),
    lambda held: held.update(recall={"frame": 3}),
    lambda held: held.update(recall={"frame": {"1": 1.0}}),
    lambda held: held.update(recall_texts={"frame": {"1": "x", "10": 1.0, "100": 1.0}}),
    lambda held: held.update(recall_wanted="0.9"),
    lambda held: held.update(recall_wanted=[]),
    lambda held: held.update(latency_ms={"frame": {"p50": -1, "p99": 2}}),
    lambda held: held.update(latency_ms=3),
    lambda held: held.update(factories=3),
    lambda held: held.update(factories={"frame": 3}),
    lambda held: held.update(asked={"frame": None}),
]


@pytest.mark.parametrize("change", MANIFESTS)
def test_a_forged_snapshot_is_refused(root: Path, change: Callable[[Held], object]) -> None:
    forged(root, change)
    with pytest.raises(SnapshotError, match=r"^[^\n]+\.$"):
        mutations.use(root)


def flat(rows: int) -> Any:
    index = faiss.IndexFlatIP(DIM)
    index.add(np.zeros((rows, DIM), np.float32))
    return index


def made(factory: str, rows: int, dim: int = DIM, metric: int = faiss.METRIC_INNER_PRODUCT) -> Any:
    index = faiss.index_factory(dim, factory, metric)
    vectors = np.random.default_rng(0).standard_normal((rows, dim)).astype(np.float32)
    if isinstance(index, faiss.IndexIVF):
        index.cp.min_points_per_centroid = 1  # else it prints
    index.train(vectors)
    if isinstance(index, faiss.IndexIDMap):
        index.add_with_ids(vectors, np.arange(rows))
    else:
        index.add(vectors)
    return index


def with_few_centroids(rows: int) -> Any:
    index = made("IVF4,Flat", rows)
    index.quantizer.reset()
    index.quantizer.add(np.zeros((3, DIM), np.float32))
    return index


def without_lists(rows: int) -> Any:
    index = made("IVF2,Flat", rows)
    index.ntotal = rows
    index.invlists.resize(0, 0)
    return index


def by_distance_behind_a_transform(rows: int) -> Any:
    index = made("PCA4,IVF2,SQ8", rows)
    faiss.downcast_index(index.index).metric_type = faiss.METRIC_L2
    return index


FOREIGN: list[Callable[[int], Any]] = [
    lambda rows: made("IDMap,Flat", rows),
    lambda rows: made("IDMap2,Flat", rows),
    lambda rows: made("Flat", rows, metric=faiss.METRIC_L2),
    lambda rows: made("Flat", rows, dim=DIM + 1),
    lambda rows: made("Flat", rows + 1),
    with_few_centroids,
    without_lists,
    by_distance_behind_a_transform,
    lambda rows: faiss.IndexBinaryFlat(DIM),
]
NOT_FLAT: list[Callable[[int], Any]] = [
    lambda rows: made("HNSW4", rows),
    lambda rows: made("SQ8", rows),
    lambda rows: made("IVF2,Flat", rows),
]


def a_part(root: Path, number: int) -> Held:
    """One with lists, where there is any."""
    parts: list[Held] = read_manifest(root / "snapshots" / f"{number:06d}")["parts"]
    return next((about for about in parts if about.get("trained")), parts[0])


@pytest.mark.parametrize(
    ("number", "foreign"),
    [(number, each) for number in (1, 2) for each in FOREIGN] + [(1, each) for each in NOT_FLAT],
)
def test_another_index_than_was_built_is_refused(
    root: Path, number: int, foreign: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(Store.open(root), number)
    about = a_part(root, number)
    index = foreign(about["rows"])
    write = faiss.write_index_binary if isinstance(index, faiss.IndexBinary) else faiss.write_index
    path = root / "parts" / f"{about['name']}.faiss"
    path.unlink()
    write(index, str(path))
    with pytest.raises(SnapshotError, match=r"faiss is damaged: it(s bytes| has \d+ bytes)[^\n]+\.$"):
        Snapshot.open(Store.open(root))
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    with pytest.raises(SnapshotError, match=r"faiss (is damaged: |does not hold the )[^\n]+\.$"):
        Snapshot.open(Store.open(root))


def test_what_faiss_reads_and_does_not_search_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    publish(Store.open(root), 2)
    about = a_part(root, 2)
    index = made("PCA4,IVF2,SQ8", about["rows"])
    transform: Any = faiss.downcast_VectorTransform(index.chain.at(0))
    transform.A.resize(1)
    path = root / "parts" / f"{about['name']}.faiss"
    path.unlink()
    faiss.write_index(index, str(path))
    queries = np.ones((1, DIM), np.float32)
    with pytest.raises(SnapshotError, match=r"^\w+\.faiss cannot be searched: [^\n]+ not initialized\.$"):
        Snapshot.open(Store.open(root)).search(about["kind"], queries, 3)


@pytest.mark.parametrize(("file", "name"), [("sources.arrow", b"created"), ("columns.arrow", b"lines")])
def test_a_column_whose_name_is_no_text_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: bytes
) -> None:
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    path = root / "snapshots" / "000001" / file
    data = path.read_bytes()
    assert name in data
    path.unlink()
    path.write_bytes(data.replace(name, b"\xff" * len(name)))
    with pytest.raises(SnapshotError, match=rf"{file} (cannot be read|is damaged): [^\n]+\.$"):
        mutations.use(root)


def test_another_table_than_was_written_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    path = root / "snapshots" / "000001" / "sources.arrow"
    with pa.memory_map(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    for other in (
        table.drop_columns("columns"),
        table.set_column(0, "id", pa.array(range(len(table)))),
        table.append_column("id", table["id"]),
        pa.table({}),
    ):
        path.unlink()
        with path.open("wb") as file, pa.ipc.new_file(file, other.schema) as writer:
            writer.write_table(other)
        with pytest.raises(SnapshotError, match=r"sources\.arrow is damaged: a column is missing or of"):
            Snapshot.open(Store.open(root))
    nothing = pa.nulls(len(table), pa.string())
    path.unlink()
    with path.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.set_column(0, table.schema.field("id"), nothing))
    with pytest.raises(SnapshotError, match=r"sources\.arrow is damaged: a source has no id\.$"):
        Snapshot.open(Store.open(root))
    for name, values in (
        ("columns", nothing),
        ("columns", pa.array(["[" * 100_000] * len(table))),
        ("columns", pa.array(["[]"] * len(table))),
        ("text", nothing),
        ("seconds", pa.nulls(len(table), pa.float64())),
    ):
        other = table.set_column(table.schema.get_field_index(name), name, values)
        path.unlink()
        with path.open("wb") as file, pa.ipc.new_file(file, other.schema) as writer:
            writer.write_table(other)
        snapshot = Snapshot.open(Store.open(root))
        with pytest.raises(SnapshotError, match=r"^sources\.arrow is damaged: its line 0 makes no sense\.$"):
            snapshot.source(snapshot.sources.id(0))


@pytest.mark.parametrize("id", [30, 1 << 40, (1 << 63) - 1])
def test_a_list_that_holds_a_row_that_is_not_there_is_told(
    tmp_path: Path, id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids lie in the middle of a file, and where every row lives nothing selects among them."""
    monkeypatch.setattr(merge, "FEW_ROWS", 0)
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    lived = world(tmp_path / "store")
    lived.add(8, "text")
    build_snapshot(lived.store, factories={"text": "IVF2,SQfp16"})
    (part,) = Snapshot.open(lived.store).parts
    lists = part.part.index.invlists
    ids = faiss.rev_swig_ptr(lists.get_ids(0), lists.list_size(0)).tobytes()
    path = lived.store.root / "parts" / f"{part.about.name}.faiss"
    data = path.read_bytes()
    assert data.count(ids) == 1
    mutations.replace(path, data.replace(ids, id.to_bytes(8, "little") + ids[8:]))
    with pytest.raises(SnapshotError, match=r"faiss is damaged: a list holds a row that is not there\.$"):
        Snapshot.open(lived.store).search("text", lived.vectors(1), 8, effort=0)


def test_a_live_row_of_a_dead_run_is_told_by_whoever_asks_whose_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    name = read_manifest(root / "snapshots/000001")["parts"][0]["name"]
    path = root / "snapshots/000001" / f"{name}.numbers.npy"
    numbers = np.full_like(np.load(path), -1)
    mutations.replace(path, b"")
    np.save(path, numbers)
    snapshot = Snapshot.open(Store.open(root))
    kind = snapshot.parts[0].about.kind
    for act in (lambda: asked.draw(snapshot, kind), lambda: sampled(snapshot, kind)):
        with pytest.raises(SnapshotError, match=r"^\w+\.rows\.npy is damaged: a row stands for nothing\.$"):
            act()


@pytest.mark.parametrize("seconds", [float("nan"), float("-inf"), 1e300])
def test_passages_of_seconds_that_cannot_be_are_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    held = read_manifest(root / "snapshots" / "000001")
    about = held["words"][0]
    path = root / "parts" / f"{about['name']}.lines.npy"
    rows = np.load(path)
    rows["start"] = seconds
    mutations.replace(path, b"")
    np.save(path, rows)
    with pytest.raises(SnapshotError, match=r"\.lines\.npy is damaged: it names seconds that no video has\."):
        mutations.use(root)


def test_a_flip_in_the_middle_of_what_faiss_must_trust_is_seen(tmp_path: Path) -> None:
    """The lengths of the lists lie behind the centroids, far from both ends of a large file."""
    index = made("IVF64,SQ8", 80_000, 64)
    path = tmp_path / "index.faiss"
    faiss.write_index(index, str(path))
    head = faissfile.head_bytes(index, path.stat().st_size)
    held = mapped.stamp(path, head)
    assert held["bytes"] > mapped.WHOLE_BYTES
    mapped.require(path, held)
    lengths = np.array([index.invlists.list_size(n) for n in range(64)], np.int64).tobytes()
    at = path.read_bytes().index(lengths)
    assert at + len(lengths) <= head < 100_000
    with path.open("r+b") as file:
        file.seek(at + 8)
        file.write(b"\xff\xff")
    with pytest.raises(SnapshotError, match=r"its bytes are not those that were written\.$"):
        mapped.require(path, held)
