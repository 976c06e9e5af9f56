"""Kill a run at each of its durable steps: before every call that changes what is on the disk."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

STEPS = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir")
_LONGEST_S = 60.0  # for a run that takes a second or two
_IDLE_S = 5.0  # of no processor time at all, in which a run hangs
Action = Callable[[], object]
Start = Literal["fork", "forkserver", "spawn"]
PROCESSES: dict[Start, Callable[..., BaseProcess]] = {
    "fork": get_context("fork").Process,
    "forkserver": get_context("forkserver").Process,
    "spawn": get_context("spawn").Process,
}


def run_killed_at(step: int, action: Action, start: Start = "fork") -> bool:
    """Run `action` in a process of its own, and SIGKILL it just before its durable step number `step`.

    True: it was killed; False: it ended well before that step, so there are no more to try.
    """
    killed = _killed_at(step, action, start)
    assert killed is not None, f"the run hung at step {step}"
    return killed


def _killed_at(step: int, action: Action, start: Start) -> bool | None:
    """The same; None where it hung, and was ended."""
    process = PROCESSES[start](target=_child, args=(step, action))
    process.start()
    _wait(process)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    assert process.exitcode in (0, -signal.SIGKILL), f"the run failed at step {step}: {process.exitcode}"
    return process.exitcode != 0


def _wait(process: BaseProcess) -> None:
    """Until it ends, hangs or takes too long."""
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        before = _processor_time(process)
        process.join(_IDLE_S)
        if process.exitcode is not None or (before is not None and _processor_time(process) == before):
            return


def _processor_time(process: BaseProcess) -> list[str] | None:
    """Its own and that of its children which have ended; None where the system does not tell."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    except OSError:
        return None


def _child(step: int, action: Action) -> None:
    counted = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal counted
            counted += 1
            if counted == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in STEPS:
        setattr(os, name, counting(getattr(os, name)))
    try:
        action()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def every_step(action: Action, check: Callable[[int], None], prepare: Action, start: Start = "fork") -> int:
    """Kill at step 1, 2, 3, … of `action`, each on what `prepare` makes; the number of steps there were."""
    step = 0
    while True:
        step += 1
        prepare()
        killed = _killed_at(step, action, start)
        if killed is None:  # a fork of a process that has threads may hang in a lock of theirs, by chance
            prepare()
            killed = run_killed_at(step, action, start)
        check(step)
        if not killed:
            return step - 1
