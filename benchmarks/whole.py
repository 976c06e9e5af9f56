"""The whole of extraction, from files to rows, against the bound and against the plain loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.bare import needed
from benchmarks.bench import NO_CLIPS, ONE, TENTH, Bench, figure, say
from benchmarks.costs import Cost, Way, ratios, rounds
from benchmarks.figures import Figure
from core.types import Sampling

_OURS, _BOUND, _BESIDE, _PLAIN = "ours", "bound", "side by side", "plain loop"
_FP32 = "fp32"
CLIPS = "clips_of_bound", "clips_of_bound_beside", "clips_to_plain", "clips_to_plain_fp32"


def film(bench: Bench) -> Iterator[Figure]:
    """One film at 1 picture a second: ours, the bound, and the plain loop."""
    found = _whole(bench, [bench.film], ONE)
    yield figure("film_of_bound", ratios(found, _BOUND, _OURS))
    yield figure("film_of_bound_beside", ratios(found, _BESIDE, _OURS))
    yield figure("film_to_plain", ratios(found, _PLAIN, _OURS))
    yield figure("film_to_plain_fp32", ratios(found, _PLAIN, f"{_OURS} {_FP32}"))
    yield figure("wall_to_share", [_wall_to_share(each[_OURS]) for each in found], _limits(found))


def film_tenth(bench: Bench) -> Iterator[Figure]:
    """The same film at a picture each ten seconds."""
    worker = bench.worker(bench.precision)
    files = [bench.film]
    ways: dict[str, Way] = {
        _OURS: lambda: worker.run(files, TENTH),
        _PLAIN: lambda: bench.plain.run(files, TENTH.fps),
    }
    found = rounds(ways, bench.sizes.pairs)
    _say_costs(found)
    yield figure("film_to_plain_tenth", ratios(found, _PLAIN, _OURS))


def clips(bench: Bench) -> Iterator[Figure]:
    """Real clips at 1 picture a second."""
    files = bench.some_clips
    if not files:
        return bench.leave_out(CLIPS, NO_CLIPS)
    found = _whole(bench, files, ONE)
    note = f"{len(files)} of {len(bench.clips)} files"
    yield figure("clips_of_bound", ratios(found, _BOUND, _OURS), note)
    yield figure("clips_of_bound_beside", ratios(found, _BESIDE, _OURS), note)
    yield figure("clips_to_plain", ratios(found, _PLAIN, _OURS), note)
    yield figure("clips_to_plain_fp32", ratios(found, _PLAIN, f"{_OURS} {_FP32}"), note)


def _whole(bench: Bench, files: Sequence[Path], sampling: Sampling) -> list[dict[str, Cost]]:
    worker, single = bench.worker(bench.precision), bench.worker(_FP32)
    packets = [needed(path, sampling) for path in files]
    ways: dict[str, Way] = {
        _OURS: lambda: worker.run(files, sampling),
        _BOUND: lambda: bench.bound.run(packets),
        _BESIDE: lambda: bench.bound.beside(packets),
        _PLAIN: lambda: bench.plain.run(files, sampling.fps),
        f"{_OURS} {_FP32}": lambda: single.run(files, sampling),
    }
    found = rounds(ways, bench.sizes.pairs)
    _say_costs(found)
    return found


def _say_costs(found: Sequence[Mapping[str, Cost]]) -> None:
    for name in found[0]:
        costs = sorted((each[name] for each in found), key=lambda cost: cost.cpu_s)
        middle = costs[len(costs) // 2]
        decoders = f", of them {middle.decoder_cpu_s:.2f} s in decoders" if middle.decoder_cpu_s else ""
        say(f"{name:12} {middle.cpu_s:7.2f} CPU seconds for {middle.pictures} pictures{decoders}")


def _wall_to_share(cost: Cost) -> float:
    return cost.wall_s / max(cost.decoder_cpu_s, cost.cpu_s - cost.decoder_cpu_s)


def _limits(found: Sequence[Mapping[str, Cost]]) -> str:
    """Who waited for whom, in the quickest run: others' work on the machine lengthened that least."""
    cost = min((each[_OURS] for each in found), key=lambda cost: cost.wall_s)
    idle_s = max(0.0, cost.wall_s - cost.decoder_cpu_s - cost.held_s)
    return (
        f"of {cost.wall_s:.2f} s the encoder waited {cost.waited_s:.2f} s for pictures, encoded "
        f"{cost.encode_s:.2f} s and wrote {cost.write_s:.2f} s to the disk; the decoder worked "
        f"{cost.decoder_cpu_s:.2f} s, waited {cost.held_s:.2f} s for the encoder and {idle_s:.2f} s for the "
        "disk, a core or work"
    )
