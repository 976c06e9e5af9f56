"""Give starter-motion to a starter whose texts have learned since: its pictures must be the same ones.

python -m training.pass_on FILE --was FOLDER --now FOLDER --out FILE
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from core import files
from core.errors import Error, UsageError
from extractor.encoders.hub import SAFE
from extractor.encoders.starter_motion import FAMILY, STARTER, starter_hash
from extractor.encoders.tensors import read
from extractor.encoders.weights import hash_of

_PICTURES = "visual."


def pass_on(motion: Path, was: Path, now: Path, out: Path) -> None:
    """The same blocks and texts, in a file that names the other starter."""
    starter_hash(FAMILY, was, motion)
    mine, theirs = _pictures(was), _pictures(now)
    if mine.keys() != theirs.keys() or not all(torch.equal(mine[name], theirs[name]) for name in mine):
        raise UsageError(f"{now} sees pictures otherwise than {was}; train the motion anew.")
    files.replace_bytes(out, save(read(motion), {STARTER: hash_of(now / SAFE)}))


def _pictures(starter: Path) -> dict[str, Tensor]:
    return {name: value for name, value in read(starter / SAFE).items() if name.startswith(_PICTURES)}


def main(argv: list[str] | None = None) -> int:
    """Pass it on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path, help="model.safetensors of starter-motion")
    parser.add_argument("--was", type=Path, required=True, help="the starter that it was trained on")
    parser.add_argument("--now", type=Path, required=True, help="the one with other texts")
    parser.add_argument("--out", type=Path, required=True, help="the file that names it")
    asked = parser.parse_args(argv)
    try:
        pass_on(asked.file, asked.was, asked.now, asked.out)
    except Error as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
