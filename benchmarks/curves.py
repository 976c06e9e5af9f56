"""How cost grows with the number of videos and with their length, drawn."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bench import ONE, Bench, say
from benchmarks.costs import Cost
from benchmarks.plots import Axis, write_plot

COUNTS, MOST_QUICK = (10, 30, 100, 300, 1000, 3000), 300
MINUTES, LONGEST_QUICK = (1, 2, 4, 8, 16, 32), 4


def draw(bench: Bench, folder: Path) -> None:
    """`number.svg` and `length.svg`, and the numbers behind them."""
    is_quick = bench.sizes.pairs < 5
    counts = [count for count in COUNTS if not is_quick or count <= MOST_QUICK]
    minutes = [each for each in MINUTES if not is_quick or each <= LONGEST_QUICK]
    worker = bench.worker(bench.precision)
    files = bench.films.tiny(max(counts))
    by_number = {count: worker.run(files[:count], ONE) for count in counts}
    minute = bench.films.film("h264", 720, 60)
    longer = {each: bench.films.longer(minute, each) if each > 1 else minute for each in minutes}
    by_length = {each: worker.run([path], ONE) for each, path in longer.items()}
    _write(folder / "number.svg", "Videos of one second", Axis("videos", is_log=True), by_number)
    _write(folder / "length.svg", "One film of 720p, 1 picture a second", Axis("minutes"), by_length)


def _write(path: Path, title: str, across: Axis, found: dict[int, Cost]) -> None:
    lines = {
        "all": [(float(at), cost.cpu_s) for at, cost in found.items()],
        "decoding": [(float(at), cost.decoder_cpu_s) for at, cost in found.items()],
    }
    write_plot(path, title, across, Axis("CPU seconds", is_log=across.is_log), lines)
    for at, cost in found.items():
        each_ms = cost.cpu_s / cost.pictures * 1e3
        say(f"{path.stem} {at:5}: {cost.cpu_s:8.2f} CPU seconds, {each_ms:.1f} ms a picture")
