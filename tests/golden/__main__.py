"""`python -m tests.golden DIR [--vocab FILE]`: every golden in a folder, and how far ours is off.

Exit 0: all hold. 1: an array is off by more than 1e-4, missing or of another shape. 2: asked for what cannot
be. 3: what was checked holds, but a golden could not be: there is no family for it, or it is no manifest.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.golden.runner import USAGE, check_folder


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser("python -m tests.golden", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the goldens are, at any depth")
    parser.add_argument("--vocab", metavar="FILE", help="BERT's vocab.txt; else CINEDEX_VOCAB, or as found")
    asked = parser.parse_args(argv)
    if not asked.folder.is_dir():
        sys.stderr.write(f"{asked.folder} is no folder.\n")
        return USAGE
    if asked.vocab:
        os.environ["CINEDEX_VOCAB"] = asked.vocab
    return check_folder(asked.folder, lambda line: sys.stdout.write(f"{line}\n") and sys.stdout.flush())


if __name__ == "__main__":
    sys.exit(main())
