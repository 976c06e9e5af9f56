"""`cinedex sample-videos`: films of the sample world, with questions whose answers are known."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core import files
from core.config import Settings, run_verb
from core.errors import UsageError
from extractor.world.questions import plain_samples, queries, samples

QUERIES = "queries.csv"


class SampleSettings(Settings):
    """Render videos of coloured shapes to try things on, with questions about them in queries.csv."""

    folder: CliPositionalArg[Path | None] = Field(None, description="the same as --out")
    out: Path | None = Field(None, description="where they are written: a folder that is new or empty")
    count: int = Field(8, ge=1, le=1000, description="how many")
    seconds: float = Field(12.0, ge=0.1, le=86_400, description="how long each is")
    seed: int = Field(0, ge=0, lt=1 << 63, description="another number, other videos")
    plain: bool = Field(False, description="one large shape at a time on one colour, for toy:rgb")


def main(argv: list[str] | None = None) -> int:
    """`cinedex sample-videos --out DIR`."""
    return run_verb(SampleSettings, write_samples, argv, prog="cinedex sample-videos")


def write_samples(settings: SampleSettings) -> int:
    """Write them, whole or not at all, and say what is in them."""
    out = _folder(settings)
    made = plain_samples if settings.plain else samples
    films = made(settings.seed, settings.count, settings.seconds)
    with files.filling(out, QUERIES) as draft, files.writing(out):
        for each in films:
            each.write(draft / each.name)
        with (draft / QUERIES).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("query", "video", "start", "end"))
            table.writerows(queries(films))
    for each in films:
        sys.stdout.write(f"{out / each.name}\n")
        for moment in each.moments:
            sys.stdout.write(f"  {moment.start:5.1f} s to {moment.end:5.1f} s  {moment.caption()}\n")
    return 0


def _folder(settings: SampleSettings) -> Path:
    given = [folder for folder in (settings.folder, settings.out) if folder is not None]
    if len(given) != 1:
        said = "both say" if given else "nothing says"
        raise UsageError(
            f"{' and '.join(map(str, given))} {said} where to; give one folder: --out films.".strip()
        )
    (out,) = given
    files.forget(out)
    with files.reading(out):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(
                f"{out} is there already; the videos are written to a folder that is new or empty."
            )
    return out
