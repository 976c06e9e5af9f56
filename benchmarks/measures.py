"""The measures of `benchmarks/extract.py`, in groups that share their runs."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import torch

from benchmarks import pictures as lens
from benchmarks.bare import Needed, decode, needed
from benchmarks.bench import NO_CLIPS, ONE, TENTH, Bench, Measure, figure, say
from benchmarks.costs import Cost, Way, cost_of, rounds
from benchmarks.figures import Figure
from benchmarks.films import SPARSE_FPS
from benchmarks.gpu import gpu
from benchmarks.memory import peak_gib
from benchmarks.planned import excess_ms, savings
from benchmarks.stages import of_small, stages
from benchmarks.whole import clips, film, film_tenth
from core.types import Look, Sampling

CODECS = ("hevc", "vp9", "av1")
_PROFILED = 200  # tiny videos
CLIPS_PLANNED = "clips_planned", "clips_planned_uniform", "clips_planned_keyframes"


def planned(bench: Bench) -> Iterator[Figure]:
    """Films of each codec with a keyframe every 2 s."""
    films = {"h264": bench.film}
    films |= {codec: bench.films.film(codec, 720, bench.sizes.coded_s) for codec in CODECS}
    for codec, path in films.items():
        found = savings([path], {"": ONE, "_tenth": TENTH}, bench.sizes.pairs)
        for ending, values in found.items():
            yield figure(f"{codec}_planned{ending}", values)


def planned_clips(bench: Bench) -> Iterator[Figure]:
    """Real clips."""
    files = bench.clips[:: bench.sizes.planned_step]
    if not files:
        return bench.leave_out(CLIPS_PLANNED, NO_CLIPS)
    samplings = {
        "": ONE,
        "_uniform": Sampling(points="uniform", count=8),
        "_keyframes": Sampling(points="keyframes"),
    }
    for ending, values in savings(files, samplings, bench.sizes.pairs).items():
        yield figure(f"clips_planned{ending}", values, f"{len(files)} files")


def never_slower(bench: Bench) -> Iterator[Figure]:
    """Each file by itself: real clips, or else small films."""
    files = list(bench.clips[:: bench.sizes.planned_step]) or bench.films.tiny(100)
    void = [path for path in files if needed(path, ONE).is_void]
    excess = {path: excess_ms(path, ONE) for path in files}
    for path in void:
        say(f"{path.name}: {excess.pop(path):.2f} ms; its plan does not hold, so it is read again")
    if not excess:
        return bench.leave_out(["never_slower"], "no plan holds")
    worst = max(excess, key=lambda path: excess[path])
    note = f"of {len(excess)} files {worst.name} is the worst; {len(void)} more have plans that do not hold"
    yield figure("never_slower", excess[worst], note)


def pictures(bench: Bench) -> Iterator[Figure]:
    """An encoder's picture of a decoded one, beside Pillow's."""
    yield from lens.figures(bench.sizes.pairs)


def tiny(bench: Bench) -> Iterator[Figure]:
    """Videos of one second, no two of the same bytes, in as many parts as there are rounds."""
    count = bench.sizes.tiny // bench.sizes.pairs
    files, long = bench.films.tiny(bench.sizes.tiny), bench.films.tiny_long(count)
    worker = bench.worker(bench.precision)
    values, more = [], []
    for number in range(bench.sizes.pairs):
        part = files[number * count : (number + 1) * count]
        ways: dict[str, Way] = {
            "many": lambda part=part: worker.run(part, ONE),  # type: ignore[misc]
            "long": lambda: worker.run([long], ONE),
        }
        [found] = rounds(ways, 1)
        values.append(_a_picture_ms(found["long"])[0] / _a_picture_ms(found["many"])[0])
        more.append([many - one for many, one in zip(*map(_a_picture_ms, found.values()), strict=True)])
    all_ms, decoder_ms = map(median, zip(*more, strict=True))
    note = f"{all_ms:.2f} ms more a video, of them {decoder_ms:.2f} ms in its decoder"
    yield figure("tiny", values, f"{bench.sizes.tiny} videos; {note}")


def _a_picture_ms(cost: Cost) -> tuple[float, float]:
    """In all, and in the decoder."""
    return cost.cpu_s / cost.pictures * 1e3, cost.decoder_cpu_s / cost.pictures * 1e3


def memory(bench: Bench) -> Iterator[Figure]:
    """The peaks, with the real model; of many and long ones with one that takes no time."""
    often, best = Sampling(fps=5.0), bench.precision
    for name, codec, lines in (("memory_4k", "h264", 2160), ("memory_8k", "hevc", 4320)):
        path = bench.films.film(codec, lines, 1)
        yield figure(name, peak_gib([path], bench.stills, often, best), f"{codec}, 1 s at 5 fps")
    hours = bench.sizes.long_hours
    long = bench.films.longer(bench.films.sparse(60), 60 * hours)
    peak, note = peak_gib([long], bench.stills, ONE), "60 small packets a second, toy:rgb"
    yield figure("memory_long", peak, note, hours=hours, packets=hours * 3600 * SPARSE_FPS)
    files = bench.films.tiny(bench.sizes.tiny)
    yield figure("memory_many", peak_gib(files, bench.stills, ONE), "toy:rgb", videos=len(files))


def profile(bench: Bench) -> Iterator[Figure]:
    """CPU seconds by stage over the film; no figure comes of it."""
    worker = bench.worker(bench.precision)
    packets: Needed = needed(bench.film, ONE)
    runs = [stages(packets, ONE, worker.encoder) for _ in range(bench.sizes.pairs)]
    least = {name: min(run[name] for run in runs) for name in runs[0]}
    ways: dict[str, Way] = {
        "whole": lambda: worker.run([bench.film], ONE),
        "apart": lambda: bench.bound.run([packets]),
        "beside": lambda: bench.bound.beside([packets]),
    }
    found = rounds(ways, bench.sizes.pairs)
    whole, apart, beside = (min(each[name].cpu_s for each in found) for name in ways)
    rest = whole - sum(least.values())
    least["decoding beside encoding"] = beside - apart  # what shared caches and memory cost a bare one too
    least["hand-over and the rest"] = rest - (beside - apart)
    for name, seconds in least.items():
        each_ms = seconds / packets.pictures * 1e3
        say(f"{name:24} {seconds:7.3f} s  {seconds / whole:6.1%}  {each_ms:7.2f} ms a picture")
    say(f"{'all':24} {whole:7.3f} s, the least of {len(runs)} runs")
    yield from ()


def profile_tiny(bench: Bench) -> Iterator[Figure]:
    """What a decoder does for each small file; no figure comes of it."""
    files, look = bench.films.tiny(_PROFILED), Look(size=224)
    for name, seconds in of_small(files, ONE, look, bench.sizes.pairs).items():
        say(f"{name:24} {seconds * 1e3:6.3f} ms a video of a second")
    yield from ()


def bare_speed(bench: Bench) -> Iterator[Figure]:
    """How the film compares with real footage, which is decoded at about 2.8 ms a frame; no figure."""
    path = bench.film
    cost = cost_of(lambda: decode(Needed(path, None, 0)))
    say(f"{path.name}: {cost.cpu_s / cost.pictures * 1e3:.2f} ms to decode a frame, all of them")
    yield from ()


MEASURES: dict[str, Measure] = {
    "speed": bare_speed,
    "film": film,
    "film_tenth": film_tenth,
    "clips": clips,
    "planned": planned,
    "planned_clips": planned_clips,
    "never_slower": never_slower,
    "pictures": pictures,
    "tiny": tiny,
    "memory": memory,
    "gpu": gpu,
    "profile": profile,
    "profile_tiny": profile_tiny,
}


def hold_threads() -> None:
    """One for torch, on every side."""
    torch.set_num_threads(1)
