"""`python -m server.commands.kept VERB …`: where whatever ends is started again, as containers are.

What was asked for what cannot be would be so the next time, and the next: it is said once, and waits to be
ended. Whatever else fails may be mended from outside by then, and ends.
"""

from __future__ import annotations

import sys

from core.commands import main as cinedex
from core.errors import UsageError
from core.stop import stopping

WAITS = "cinedex: nothing is answered until that is changed and this is started again."


def main(argv: list[str] | None = None) -> int:
    """The verb's exit code, once it is over with it."""
    code = cinedex(argv)
    if code == UsageError.exit_code:
        with stopping() as stop:
            sys.stderr.write(f"{WAITS}\n")
            sys.stderr.flush()
            stop.wait()
    return code


if __name__ == "__main__":
    sys.exit(main())
