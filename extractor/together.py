"""Which settings of `extract` go together; told before anything is made."""

from __future__ import annotations

from core.errors import UsageError
from extractor.choose import ExtractSettings

_DOES = ("again", "retry_failed", "prune", "between", "watch")  # what says how to work, where no work is done


def check_together(settings: ExtractSettings) -> None:
    """A UsageError for what would be ignored."""
    reads = "failed" if settings.failed else "dry_run" if settings.dry_run else ""
    if settings.failed and settings.dry_run:
        raise UsageError("--failed and --dry-run exclude each other: one lists what was, one what would be.")
    if settings.json_output and not reads:
        raise UsageError("--json goes with --failed or --dry-run; --report FILE says what a run did.")
    if settings.failed:
        _refuse_idle(settings, "--failed only lists", (*_DOES, "texts", "report"))
    elif settings.videos is None and settings.texts is None:
        raise UsageError("name what to embed: --videos FOLDER, --texts FILE, or both.")
    if settings.captions is None and settings.caption_beams > 1:
        raise UsageError("--caption-beams goes with --captions.")
    if settings.dry_run:
        _refuse_idle(settings, "--dry-run does nothing", ("prune", "between", "watch"))
    if settings.watch and settings.prune != "no":
        raise UsageError("--watch with --prune cannot be; prune with an `extract` of its own.")


def _refuse_idle(settings: ExtractSettings, why: str, names: tuple[str, ...]) -> None:
    for name in names:
        if settings.is_flag(name) and getattr(settings, name) not in (False, None, "no", ""):
            raise UsageError(f"{why}; leave --{name.replace('_', '-')} out.")
