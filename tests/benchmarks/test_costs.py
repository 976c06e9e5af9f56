"""What is counted: a run's own files and no others, the packets that are needed and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bare import Needed, decode, demux, needed, planning
from benchmarks.bound import Bound
from benchmarks.costs import Cost, ratios, rounds
from benchmarks.films import Films
from benchmarks.planned import decoded, savings
from benchmarks.worker import BATCH, Worker
from core.types import Sampling
from extractor.encoders import load


def test_a_run_counts_its_own_files_and_not_those_that_warm_its_decoder(tmp_path: Path) -> None:
    films = Films(tmp_path)
    worker = Worker(load("toy:rgb"), films.still(BATCH))
    files = films.tiny(3)
    for _ in range(2):
        cost = worker.run(files, Sampling(fps=10.0))
        assert cost.pictures == 30
        assert 0 < cost.decoder_cpu_s < cost.cpu_s < 60
    assert worker.run([], Sampling()).pictures == 0


def test_the_bound_decodes_the_packets_that_are_needed(tmp_path: Path) -> None:
    film = Films(tmp_path).film("h264", 90, 4)
    found = needed(film, Sampling(fps=0.5))
    assert found.pictures == 2
    assert decode(found) == 2 < decode(Needed(film, None, 2)) == demux(film) == 120
    assert not found.is_void
    planning(film, Sampling(fps=0.5))


def test_the_bound_is_that_of_a_plan_which_holds_or_of_everything(tmp_path: Path) -> None:
    film = Films(tmp_path).film("h264", 90, 4)
    data = bytearray(film.read_bytes())
    middle = data.index(b"mdat") + 4 + len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    found = needed(damaged, Sampling(fps=1.0))
    assert found.is_void and found.plan is None and found.pictures >= 1
    every = needed(film, Sampling(fps=30.0))
    assert not every.is_void and every.plan is None and every.pictures == 120


def test_bare_decoding_and_a_bare_model_run_one_after_the_other_or_side_by_side(tmp_path: Path) -> None:
    bound = Bound("fp32", model="open_clip:ViT-S-32-alt")
    files = [needed(Films(tmp_path).film("h264", 90, 4), Sampling(fps=0.5))]
    apart, beside = bound.run(files), bound.beside(files)
    assert apart.pictures == beside.pictures == 2
    assert 0 < beside.decoder_cpu_s < beside.cpu_s


def test_savings_compare_the_same_pictures(tmp_path: Path) -> None:
    film = Films(tmp_path).film("h264", 90, 4)
    both = [decoded([film], Sampling(), is_planned=is_planned).pictures for is_planned in (True, False)]
    assert both == [4, 4]
    assert {name: len(values) for name, values in savings([film], {"one": Sampling()}, 3).items()} == {
        "one": 3
    }


def test_rounds_take_turns_and_ratios_are_of_one_round() -> None:
    said: list[str] = []
    costs = iter(range(1, 100))

    def way(name: str) -> Cost:
        said.append(name)
        return Cost(float(next(costs)), 0.0)

    found = rounds({"a": lambda: way("a"), "b": lambda: way("b")}, 2)
    assert said == ["a", "b", "b", "a"]
    assert ratios(found, "a", "b") == pytest.approx((1 / 2, 4 / 3))
