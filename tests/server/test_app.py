"""What the application does beside answering."""

from __future__ import annotations

import subprocess
import sys

from tests.server.conftest import ROOT

ENDS = """
import threading
import anyio
from server.app import follow

begun = threading.Semaphore(0)

def hang():
    begun.release()
    threading.Event().wait()

async def main():
    async with anyio.create_task_group() as tasks:
        for what in "abc":
            tasks.start_soon(follow, hang, 1.0, what)
        for _ in "abc":
            await anyio.to_thread.run_sync(begun.acquire)
        tasks.cancel_scope.cancel()

anyio.run(main)
print("ended")
"""


def test_a_look_that_hangs_holds_up_neither_others_nor_the_end_of_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", ENDS], cwd=ROOT, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"ended\n"
