"""`python -m server.commands.tied VERB …`: a verb that ends once whoever started it is gone.

Its stdin is a pipe that nobody writes to: its end, even by SIGKILL of the one who holds it, is as SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from core.commands import main


def end_with_parent() -> None:
    """Wait, in a thread of its own, until the other end of stdin is closed."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="tied", daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())
