"""What a score means: the same in a store ten times as large, and little where there is nothing to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import files
from core.errors import SnapshotError, StoreError
from core.query import Filter
from core.store import Store
from core.types import Float32Array, Kind, Sampling
from index import mapped
from index.build import build_snapshot
from index.calibration import Asking, Judge, Scale
from index.sample import Sample, sampled
from index.snapshot import Snapshot
from tests.index import alike, mutations, worlds


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> alike.Alike:
    """10 k rows in snapshot 1, 100 k in snapshot 2, videos of the same kind."""
    made = alike.library(tmp_path_factory.mktemp("alike"))
    for rows in (10_000, 90_000):
        made.add(rows)
        build_snapshot(made.store, publish=False)
    return made


@pytest.fixture(scope="module")
def both(library: alike.Alike) -> tuple[Snapshot, Snapshot]:
    return Snapshot.open(library.store, 1), Snapshot.open(library.store, 2)


def judges(
    view: Snapshot, queries: Float32Array, asking: Asking = "text", kind: Kind = "frame"
) -> list[Judge]:
    found = [view.calibrated.judge(kind, asking, query) for query in queries]
    assert None not in found
    return [judge for judge in found if judge]


def best(view: Snapshot, queries: Float32Array, kind: Kind = "frame") -> list[float]:
    return [float(hits.scores[0]) for hits in view.search(kind, queries, 1)]


def confidence(judged: Sequence[Judge], scores: Sequence[float]) -> Float32Array:
    pairs = zip(judged, scores, strict=True)
    return np.array([judge.confidence(score) for judge, score in pairs], np.float32)


def queries(library: alike.Alike) -> dict[str, Float32Array]:
    chance = np.random.default_rng(5)
    nonsense = alike.unit(chance.standard_normal((100, alike.DIM)).astype(np.float32))
    return {"shown": library.topics[20:150], "absent": library.topics[200:300], "nonsense": nonsense}


def test_a_hit_is_worth_the_same_in_a_store_ten_times_as_large(
    library: alike.Alike, both: tuple[Snapshot, Snapshot]
) -> None:
    small, large = both
    assert small.rows["frame"] > 9_900 and large.rows["frame"] > 99_000
    for asked in queries(library).values():
        scores = best(small, asked)
        moved = confidence(judges(large, asked), scores) - confidence(judges(small, asked), scores)
        assert np.abs(moved).max() <= 0.05


def test_answers_are_worth_the_same_in_a_store_ten_times_as_large(
    library: alike.Alike, both: tuple[Snapshot, Snapshot]
) -> None:
    for asked in queries(library).values():
        small, large = (confidence(judges(view, asked), best(view, asked)).mean() for view in both)
        assert abs(large - small) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "text"])
def test_hits_of_other_kinds_are_worth_the_same_in_a_store_ten_times_as_large(
    tmp_path: Path, kind: Kind
) -> None:
    made, views = alike.library(tmp_path, kind=kind), list[Snapshot]()
    for rows in (10_000, 90_000):
        made.add(rows)
        views.append(Snapshot.open(made.store, build_snapshot(made.store, publish=False).number))
    small, large = views
    assert small.rows[kind] > 9_900 and large.rows[kind] > 99_000
    for asked in queries(made).values():
        first, then = (judges(view, asked, kind=kind) for view in views)
        scores, others = (best(view, asked, kind) for view in views)
        before, moved, now = confidence(first, scores), confidence(then, scores), confidence(then, others)
        assert np.abs(moved - before).max() <= 0.05
        assert abs(now.mean() - before.mean()) <= 0.05


def test_what_is_there_is_told_from_what_is_not(
    library: alike.Alike, both: tuple[Snapshot, Snapshot]
) -> None:
    for view in both:
        found = {name: confidence(judges(view, q), best(view, q)) for name, q in queries(library).items()}
        assert np.median(found["shown"]) > 0.9
        assert max(np.quantile(found[name], 0.95) for name in ("absent", "nonsense")) < 0.25


def test_a_stored_video_is_judged_by_other_videos(both: tuple[Snapshot, Snapshot]) -> None:
    moved, worth = [], []
    for number in range(1, 41):
        own = f"v-{number:032x}"
        vector = alike.unit(both[0].vectors(own, "frame")[1].mean(axis=0))[None]
        without = Filter(hidden=frozenset([own]))
        score = [float(both[0].search("frame", vector, 1, filter=without)[0].scores[0])]
        small, large = (confidence(judges(view, vector, "video"), score)[0] for view in both)
        moved.append(abs(large - small))
        worth.append([small, confidence(judges(both[0], vector, "video"), [1.0])[0]])
    assert np.quantile(moved, 0.9) <= 0.05
    other, copy = np.array(worth).T
    assert np.median(other) < 0.2 and copy.min() > 0.9


def test_confidence_rises_with_the_score_and_stays_within_bounds(
    library: alike.Alike, both: tuple[Snapshot, Snapshot]
) -> None:
    judge = judges(both[1], library.topics[:1])[0]
    found = [judge.confidence(score) for score in np.linspace(-50, 50, 2001).tolist()]
    assert found == sorted(found) and found[0] == 0.0 and found[-1] == 1.0
    assert {judge.level(score) for score in np.linspace(-1, 2, 301).tolist()} == {
        "high",
        "medium",
        "low",
        "none",
    }


@pytest.mark.parametrize("factor", [0.01, 7.0])
def test_the_length_of_a_query_does_not_matter(factor: float, both: tuple[Snapshot, Snapshot]) -> None:
    query = np.random.default_rng(3).standard_normal((1, alike.DIM)).astype(np.float32)
    plain, scaled = judges(both[0], query)[0], judges(both[0], query * np.float32(factor))[0]
    assert scaled.confidence(0.5 * factor) == pytest.approx(plain.confidence(0.5), abs=2e-4)


def test_a_query_of_zeros_finds_nothing(both: tuple[Snapshot, Snapshot]) -> None:
    judge = judges(both[0], np.zeros((1, alike.DIM), np.float32))[0]
    assert [judge.confidence(score) for score in (0.0, -1.0, 1.0)] == [0.0] * 3
    assert judge.level(0.0) == "none"


def test_below_an_encoders_own_threshold_nothing_is_sure(both: tuple[Snapshot, Snapshot]) -> None:
    query = np.random.default_rng(3).standard_normal((1, alike.DIM)).astype(np.float32)
    plain, length = judges(both[0], query)[0], float(np.linalg.norm(query))
    assert plain.level(plain.half + 9 * plain.width) == "high"
    for above in (-9.0, 0.0, 9.0):  # widths between what the index thinks of it and what the encoder knows
        least = plain.half + above * plain.width
        bound = replace(both[0], calibrated=replace(both[0].calibrated, thresholds={"frame": least / length}))
        judge = judges(bound, query)[0]
        scores = np.linspace(least - plain.width, least + plain.width, 201)
        found = [judge.confidence(score) for score in scores.tolist()]
        assert found == sorted(found)
        below, over = judge.level(least - 1e-6), judge.level(max(least, plain.half) + 1e-6)
        assert below in ("low", "none") and over in ("medium", "high")
        video, before = (judges(view, query, "video")[0] for view in (bound, both[0]))
        assert video == before  # of texts alone
        assert bound.calibrated.judge("clip", "text", query[0]) is None


def test_the_sample_stays_much_the_same_as_a_store_grows_and_however_it_is_cut(tmp_path: Path) -> None:
    world = worlds.world(tmp_path, exact=False)
    world.add(60)
    first = _sample(world, 40)
    world.add(3)
    grown = _sample(world, 40)
    kept = {row.tobytes() for row in first.vectors} & {row.tobytes() for row in grown.vectors}
    assert len(kept) >= 34
    world.compact()
    assert np.array_equal(_sample(world, 40).vectors, grown.vectors)


def _sample(world: worlds.World, rows: int) -> Sample:
    number = build_snapshot(world.store, publish=False).number
    return sampled(Snapshot.open(world.store, number), "frame", rows)


def test_the_sample_is_kept_in_the_snapshot_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    world = worlds.world(tmp_path, exact=False)
    world.add(20)
    number = build_snapshot(world.store, publish=False).number
    path = tmp_path / "snapshots" / f"{number:06d}" / "frame.sample.npy"
    opened = Snapshot.open(world.store, number)
    assert path.name in opened.held["files"]
    assert np.array_equal(opened.calibrated.samples["frame"], sampled(opened, "frame").vectors)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(SnapshotError, match=r"frame\.sample\.npy is damaged"):
        Snapshot.open(world.store, number)


def test_a_sample_that_is_of_no_numbers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever writes hashes that fit: a confidence would be no number either."""
    monkeypatch.setattr(mapped, "require", mutations.trusting)
    world = worlds.world(tmp_path, exact=False)
    world.add(20)
    number = build_snapshot(world.store, publish=False).number
    path = tmp_path / "snapshots" / f"{number:06d}" / "frame.sample.npy"
    rows = np.load(path)
    for wrong in (np.full_like(rows, np.nan), rows[:0]):
        mutations.replace(path, b"")
        np.save(path, wrong)
        with pytest.raises(
            SnapshotError, match=r"frame\.sample\.npy is damaged: it holds no sample of rows\.$"
        ):
            Snapshot.open(world.store, number)


def test_without_probes_texts_are_not_judged_and_stored_videos_are(tmp_path: Path) -> None:
    world = worlds.World(Store.create(tmp_path, worlds.SPEC, Sampling()), np.random.default_rng(0), False)
    world.add(20)
    view = Snapshot.open(world.store, build_snapshot(world.store, publish=False).number)
    query = world.vectors(1)[0]
    assert view.calibrated.judge("frame", "text", query) is None
    assert view.calibrated.judge("frame", "video", query) is not None


def test_rows_that_are_all_alike_make_no_hit_but_a_near_copy(tmp_path: Path) -> None:
    world = worlds.world(tmp_path)
    world.vectors = lambda count: np.tile(np.eye(1, worlds.DIM, 5, dtype=np.float32), (count, 1))  # type: ignore[method-assign]
    world.add(20)
    view = Snapshot.open(world.store, build_snapshot(world.store, publish=False).number)
    judge = view.calibrated.judge("frame", "text", np.eye(1, worlds.DIM, dtype=np.float32)[0])
    assert judge is not None
    assert [judge.level(score) for score in (0.0, 0.5, 0.95)] == ["none", "none", "high"]


def test_a_stored_video_is_certain_to_be_found_by_itself_where_all_are_alike(tmp_path: Path) -> None:
    world = worlds.world(tmp_path)
    chance = np.random.default_rng(4)

    def alike_but_a_little(count: int) -> Float32Array:
        noise = 0.05 * chance.standard_normal((count, worlds.DIM))
        return alike.unit((np.eye(1, worlds.DIM, 5) + noise).astype(np.float32))

    world.vectors = alike_but_a_little  # type: ignore[method-assign]
    world.add(20)
    view = Snapshot.open(world.store, build_snapshot(world.store, publish=False).number)
    middle = np.eye(1, worlds.DIM, 5, dtype=np.float32)[0]  # to which all are nearer than to each other
    for query in (middle, *view.calibrated.samples["frame"][:10]):
        judge = view.calibrated.judge("frame", "video", query)
        assert judge is not None
        itself = float(query @ query)
        assert judge.confidence(itself) == 1.0
        assert judge.level(float(np.median(view.calibrated.samples["frame"] @ query))) == "none"
        found = [judge.confidence(score) for score in np.linspace(0, 1.1, 1001).tolist()]
        assert found == sorted(found)


def test_an_encoder_may_have_thresholds_of_its_own(tmp_path: Path) -> None:
    world = worlds.world(tmp_path, exact=False)
    world.add(20)
    say(tmp_path, {"high": 0.95, "middle": 4, "thresholds": {"clip": 0.29}})
    view = Snapshot.open(world.store, build_snapshot(Store.open(tmp_path), publish=False).number)
    assert view.calibrated.scale == Scale(middle=4, high=0.95)
    assert view.calibrated.thresholds == {"clip": 0.29}


@pytest.mark.parametrize("said", [{"high": 0.1}, {"middle": 0}, {"width": "wide"}, {"low": True}])
def test_thresholds_that_are_none_are_one_sentence(said: dict[str, object], tmp_path: Path) -> None:
    world = worlds.world(tmp_path)
    world.add(1)
    say(tmp_path, said)
    with pytest.raises(StoreError, match="is none: numbers above 0 are"):
        build_snapshot(Store.open(tmp_path))


@pytest.mark.parametrize("said", [[], 0.3, {"scene": 0.3}, {"clip": "high"}, {"clip": True}])
def test_thresholds_of_no_kind_or_number_are_one_sentence(said: object, tmp_path: Path) -> None:
    world = worlds.world(tmp_path)
    world.add(1)
    say(tmp_path, {"thresholds": said})
    with pytest.raises(StoreError, match="are none: numbers by frame, clip, text are"):
        build_snapshot(Store.open(tmp_path))


def say(root: Path, calibration: dict[str, object]) -> None:
    path = root / "store.json"
    path.write_text(files.sealed(files.read_sealed(path) | {"calibration": calibration}))
