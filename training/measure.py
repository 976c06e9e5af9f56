"""How good an encoder is on scenes of the world that no training saw, line by line with its bar.

python -m training.measure --encoder NAME [--seed N] [--only MEASURE…] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.errors import Error, UsageError
from core.types import EncoderSpec
from extractor.encoders import load
from extractor.encoders.base import Pace
from training.measures.line import Line
from training.measures.sight import Sight
from training.measures.speed import precision_of
from training.measures.table import TABLE

_SPLITS = ("test", "validation")


def measured(sight: Sight, names: Sequence[str]) -> list[Line]:
    """One measure after the other; how long each took is told on stderr. Smaller galleries are easier, and
    so are held to no bar."""
    found = list[Line]()
    for name in names:
        began = time.process_time()
        found += TABLE[name](sight)
        sys.stderr.write(f"{name} cpu_s={time.process_time() - began:.0f}\n")
    return found if sight.size == 1 else [replace(line, bar=None) for line in found]


def report(facts: dict[str, Any], lines: Sequence[Line]) -> str:
    """For people."""
    head = " ".join(f"{name}={value}" for name, value in facts.items())
    rows = [
        f"{line.verdict:7} {line.figure:9.4g}  {line.bar or ''!s:11} {line.measure} (of {line.of})"
        + (f": {line.note}" if line.note else "")
        for line in lines
    ]
    return "\n".join([head, *rows]) + "\n"


def as_json(facts: dict[str, Any], lines: Sequence[Line]) -> str:
    """For programs."""
    held = []
    for line in lines:
        bar = None if line.bar is None else [line.bar.least, line.bar.most if line.bar.most < 1e9 else None]
        held.append(asdict(line) | {"bar": bar, "verdict": line.verdict})
    return json.dumps(facts | {"lines": held}, indent=1) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", required=True, help="FAMILY:VARIANT, or open_clip:local-dir:DIR")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes: another one, another gallery")
    parser.add_argument("--split", choices=_SPLITS, default="test", help="of scenes: test, or validation")
    parser.add_argument(
        "--only", nargs="+", choices=list(TABLE), metavar="MEASURE", help=f"of {', '.join(TABLE)}"
    )
    parser.add_argument(
        "--size", type=float, default=1.0, help="of the galleries, to try it: of a tenth no bar holds"
    )
    parser.add_argument("--weights", type=Path, help="of a family that takes a file")
    parser.add_argument(
        "--device", default="cpu", help="cpu, cuda, cuda:1, or auto: a GPU where there is one"
    )
    parser.add_argument("--precision", default="auto", help="of pictures: auto, fp32, bf16 or fp16")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Print the table; a shrunk one says so."""
    parser = _parser()
    asked = parser.parse_args(argv)
    try:
        if not 0 < asked.size <= 1:
            raise UsageError(f"--size {asked.size} must be above 0 and at most 1.")
        pace = Pace(asked.precision)
        encoder = load(asked.encoder, device=asked.device, weights=asked.weights, pace=pace)
        sight = Sight(encoder, asked.split, asked.seed, asked.size, asked.weights)
        lines = measured(sight, [name for name in TABLE if name in (asked.only or TABLE)])
        if not lines:
            raise UsageError(f"{asked.encoder} writes no captions: there is nothing to measure.")
    except Error as error:
        parser.error(str(error))
    facts = _facts(encoder.spec) | {
        "split": asked.split,
        "seed": asked.seed,
        "size": asked.size,
        "precision": precision_of(encoder),
        "cpu_s": round(time.process_time()),
    }
    sys.stdout.write(as_json(facts, lines) if asked.json else report(facts, lines))
    return 0


def _facts(spec: EncoderSpec) -> dict[str, Any]:
    return {"encoder": spec.name, "weights": spec.weights, "dim": spec.dim}


if __name__ == "__main__":
    sys.exit(main())
