"""Random interleavings of writers, people, gc and crashes against what a user expects of the rules."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from core.rules import LastWords
from tests.core.model import DAY_H, Step, World

RUNS = 10_000
SLOW_RUNS = 100_000
BATCH = 1_000


def play(seed: int) -> World:
    """One random run: up to four actors at once, any of which may crash or sleep for days."""
    rng = Random(seed)
    world = World(rng)
    actors: list[Step] = []
    sleepers: list[tuple[float, Step]] = []
    cached = world.read(LastWords())
    for _ in range(rng.randrange(20, 90)):
        world.clock_h += rng.choice([0.0, 0.0, 0.1, 0.5, 30.0 if rng.random() < 0.3 else 0.0])
        actors += [actor for until, actor in sleepers if until <= world.clock_h]
        sleepers = [pair for pair in sleepers if pair[0] > world.clock_h]
        act = rng.random()
        if act < 0.15:
            world.change_files()
        elif act < 0.40 and len(actors) < 4:
            actors.append(_actor(world, rng))
        elif act < 0.43 and actors:
            actors.pop(rng.randrange(len(actors)))  # it crashed
        elif act < 0.47 and actors:
            sleepers.append((world.clock_h + rng.choice([2.0, 60.0]), actors.pop()))
        elif actors:
            _advance(actors, rng.randrange(len(actors)), rng.choice([1, 1, 2, 5, 20]))
        if rng.random() < 0.1:
            world.check_readers(cached)
            cached = world.read(cached) if rng.random() < 0.3 else cached
    _advance_all(actors + [actor for _, actor in sleepers])
    return world


def _actor(world: World, rng: Random) -> Step:
    kinds: list[Callable[[], Step]] = [
        world.remover,
        world.compactor,
        world.checkpointer,
        lambda: world.locked(world.builder()),
        lambda: world.locked(world.collector()),
    ]
    if rng.random() < 0.5:
        return world.extractor(again=rng.random() < 0.1, prune=rng.random() < 0.4)
    return rng.choice(kinds)()


def _advance(actors: list[Step], which: int, steps: int) -> None:
    for _ in range(steps):
        try:
            next(actors[which])
        except StopIteration:
            actors.pop(which)
            return


def _advance_all(actors: list[Step]) -> None:
    """To their ends, in turn: one may wait for another's lock."""
    while actors:
        for which in reversed(range(len(actors))):
            _advance(actors, which, 1)


def check_the_end(world: World) -> None:
    """When all is quiet, one more run makes the store say exactly what the folder holds."""
    for _ in range(3):
        _advance_all([world.extractor(prune=True)])
    known = world.read(LastWords())
    good = {content for content, _ in world.files.values() if content != "bad"}
    removed = known.removed()
    for path, (content, version) in world.files.items():
        said = known.said("r", path)
        assert said and said.word.stamp == str(version)
        assert said.word.word == ("failed" if content == "bad" else "done")
        assert content == "bad" or said.word.source == content
        beside = [world.beside[path][0]] if path in world.beside else []
        if content in good - removed:
            assert [sidecar.hash for sidecar in said.word.sidecars] == beside
    if world.files:  # an empty folder may be an unmounted disk, and is not pruned
        assert known.live_ids() == good - removed
    for source in known.live_ids() & good:
        assert (source, "visual") in world.shards[known.shard_of(source, "visual")][0]
    for live in known.live():
        for sidecar in (sidecar for place in live.places for sidecar in place.sidecars):
            pair = live.id, sidecar.layer
            assert pair in world.shards[known.shard_of(*pair)][0]


def check_runs(first: int) -> None:
    for seed in range(first, first + BATCH):
        try:
            world = play(seed)
            world.check_readers(LastWords())
            world.clock_h += 2 * DAY_H
            _advance_all([world.collector()])
            check_the_end(world)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("first", range(0, RUNS, BATCH))
def test_whatever_interleaves_or_crashes_the_store_says_what_a_user_expects(first: int) -> None:
    check_runs(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(RUNS, SLOW_RUNS, BATCH))
def test_the_same_of_many_more_interleavings(first: int) -> None:
    check_runs(first)
