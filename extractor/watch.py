"""`--watch`: round after round over what has arrived meanwhile, until somebody ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from core.errors import Error
from extractor.find import SETTLE_S
from extractor.job import Run, Wanted

# What is meant as of now, and what is to be called once something of it was met.
Look = Callable[[], tuple[Wanted, Callable[[], None]]]
log = logging.getLogger(__name__)


def watched(run: Run, seconds: float) -> Run:
    """The first round. What has changed since about the last look may still be written, and is left."""
    return replace(run, settle_s=max(SETTLE_S, seconds), looks_again=True)


def watch(first: Run, look: Look, follow: Callable[[Run], None], seconds: float) -> None:
    """`follow` a run, and after each pause another one over what there is then."""
    run, told, done = first, "", -1
    while True:
        follow(run)
        if run.stop.is_set():
            return
        if run.tally.done + run.tally.copies != done:
            done = run.tally.done + run.tally.copies
            log.info("waiting for what arrives done=%d seconds=%g", done, seconds)
        while True:
            if run.stop.wait(seconds):
                return
            try:
                wanted, begin = look()
            except Error as error:  # a list that is being written, a disk that is away for a while
                if str(error) != told:
                    told = str(error)
                    log.warning("%s", told)
            else:
                break
        # What was asked for again was asked for once.
        job = replace(run.job, again=False, retry_failed=False)
        run = watched(Run(job, wanted, run.tally, run.stop, begin, run.pause, is_later=True), seconds)
