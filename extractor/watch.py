"""`--watch`: round after round over what has arrived meanwhile, until somebody ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from core.errors import Error
from extractor.find import SETTLE_S
from extractor.job import Round, Wanted

# What is meant as of now, and what is to be called once something of it was met.
Look = Callable[[], tuple[Wanted, Callable[[], None]]]
log = logging.getLogger(__name__)


def watched(this: Round, seconds: float) -> Round:
    """The first round. What has changed since about the last look may still be written, and is left."""
    return replace(this, settle_s=max(SETTLE_S, seconds), looks_again=True)


def watch(first: Round, look: Look, follow: Callable[[Round], None], seconds: float) -> None:
    """`follow` a round, and after each pause another over what there is then."""
    this, told, done = first, "", -1
    while True:
        follow(this)
        if this.stop.is_set():
            return
        if this.tally.done + this.tally.copies != done:
            done = this.tally.done + this.tally.copies
            log.info("waiting for what arrives done=%d seconds=%g", done, seconds)
        while True:
            if this.stop.wait(seconds):
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
        job = replace(this.job, again=False, retry_failed=False)
        this = watched(Round(job, wanted, this.tally, this.stop, begin, this.pause, is_later=True), seconds)
