"""`extract`: videos and texts in, vectors into the store."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core import files
from core.collections import Library
from core.config import run_verb
from core.cpus import usable_cpus
from core.errors import Error, UsageError
from core.logs import plain
from core.running import Beat, running
from core.stop import stopping
from core.store import Store
from core.types import Place, Sampling
from extractor.asked import licence
from extractor.choose import OWN, Chosen, ExtractSettings, asked_videos, choose_store, library_of
from extractor.encoders import notice_of
from extractor.encoders.devices import devices_of, gpu_count
from extractor.hours import Hours, Pause
from extractor.job import Round, Wanted
from extractor.ledger import list_failed
from extractor.media.sniff import is_called_video
from extractor.progress import Progress
from extractor.tally import Tally
from extractor.texts import texts_target
from extractor.together import check_together
from extractor.usage import be_nice
from extractor.watch import watch, watched
from extractor.work import Committed, Job, Loaded, Lost, Report, Writing

log = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> int:
    """`extract`; `--prune` alone means yes."""
    args = sys.argv[1:] if argv is None else argv
    return run_verb(ExtractSettings, extract, _pruned(args), prog="extract")


def _pruned(args: list[str]) -> list[str]:
    """With `--prune` as `--prune=yes`, and `--prune force` as one word."""
    found: list[str] = []
    for arg in args:
        if found[-1:] == ["--prune=yes"] and arg in ("no", "yes", "force"):
            found[-1] = f"--prune={arg}"
        else:
            found.append("--prune=yes" if arg == "--prune" else arg)
    return found


def extract(settings: ExtractSettings) -> int:
    """One run: 0 all done, 3 some failed, 130 stopped."""
    check_together(settings)
    if settings.failed:
        return list_failed(settings)
    sampling = _asked_sampling(settings)
    if settings.report:
        _check_report(settings.report)
    be_nice(settings.nice)
    library = library_of(settings)
    wanted = _wanted(settings, library)
    chosen = choose_store(settings, library, sampling)
    log.info("store=%s encoder=%s", chosen.path, chosen.encoder)
    if notice := notice_of(chosen.encoder):
        log.info("%s", notice)
    if held := licence(chosen.encoder, chosen.options):
        log.info("the weights are under a licence of their own licence=%s", held)
    tally = Tally()
    with stopping() as stop:
        begin, pause = _claim(chosen, wanted), Pause(Hours.of(settings.between) if settings.between else None)
        this = Round(_job(settings, chosen, sampling), wanted, tally, stop, begin, pause)
        if settings.dry_run:
            return _estimated(this, settings)
        try:
            with running(settings.data, "extract", {"videos": settings.videos or ""}) as beat:
                if settings.watch:
                    _watch(this, chosen, settings, beat)
                else:
                    _follow(this, chosen, settings, beat)
            _finish(this, chosen, settings)
        except BaseException:
            with suppress(Error):  # the first mistake is the one to tell
                _write_report(settings.report, _report(tally, chosen))
            raise
    _tell_cut(tally)
    _tell_hdr(tally, chosen)
    log.info("%s%s", "stopped: " if stop.is_set() else "", tally.in_words())
    _write_report(settings.report, _report(tally, chosen))
    if stop.is_set():
        return 130
    return 3 if tally.failed and not settings.allow_failed else 0


def _report(tally: Tally, chosen: Chosen) -> dict[str, Any]:
    return {"encoder": chosen.encoder, "encoder_notice": notice_of(chosen.encoder)} | tally.as_json()


def _tell_cut(tally: Tally) -> None:
    if tally.cut:
        log.warning(
            "texts are longer than the encoder reads and were cut count=%d example=%r",
            len(tally.cut),
            next(iter(tally.cut.values()))[:80],
        )


def _tell_hdr(tally: Tally, chosen: Chosen) -> None:
    """HLG is made to be seen without; PQ is not."""
    if tally.hdr["pq"] and Store.open(chosen.path).spec.look.hdr == "none":
        log.warning(
            "HDR videos (PQ) were taken as they are and look flat; "
            "--hdr tonemap, in a store of its own, shows them as a plain screen does videos=%d",
            tally.hdr["pq"],
        )


def _estimated(this: Round, settings: ExtractSettings) -> int:
    from extractor.estimate import estimate, in_words

    held = estimate(this, settings.probe_seconds)
    if this.stop.is_set():
        return 130
    _refuse_nothing(this, settings, held["to_do"])
    sys.stdout.write(json.dumps(held, indent=1) + "\n" if settings.json_output else in_words(held))
    _write_report(settings.report, held)
    return 0


def _wanted(settings: ExtractSettings, library: Library) -> Wanted:
    videos = asked_videos(settings, library)
    if settings.prune != "no" and videos and videos.kind != "folder":
        raise UsageError(f"--prune needs a whole folder; --videos {videos.shown} is a {videos.kind}.")
    root, known = "" if videos else settings.root, library.roots()
    if videos:
        known = known | {name: Path(where) for name, where in videos.claims().items() if "://" not in where}
    return Wanted(videos, texts_target(settings.texts, root, known) if settings.texts is not None else None)


def _asked_sampling(settings: ExtractSettings) -> dict[str, Any]:
    asked = {
        "points": settings.points,
        "fps": settings.fps,
        "count": settings.count,
        "preset": settings.preset,
        "skip_still": settings.skip_still,
        "whole": settings.whole,
        "clip_seconds": settings.clip_seconds,
        "stride_seconds": settings.stride_seconds,
        "keep_frames": settings.frames,
    }
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if given.get("whole") and (own := [name for name in ("clip_seconds", "stride_seconds") if name in given]):
        raise UsageError(f"--whole makes one clip of each video; leave --{own[0].replace('_', '-')} out.")
    Sampling().but(given)  # a mistake is told before anything is made
    return given


def _job(settings: ExtractSettings, chosen: Chosen, sampling: dict[str, Any]) -> Job:
    gpus = gpu_count()
    devices = devices_of(settings.device, settings.workers, gpus)
    workers = len(devices) if settings.workers is None else settings.workers
    cores = max(1, usable_cpus() // max(1, workers))
    decoders = settings.decoders or max(1, cores - 1)
    options = {name: value for name, value in chosen.options.items() if name != "download"}
    return Job(
        chosen.path,
        chosen.encoder,
        sampling,
        options if settings.dry_run else chosen.options,
        batch=settings.batch,
        decoders=decoders,
        workers=workers,
        devices=devices,
        precision=settings.precision,
        compile=settings.compile,
        decoder=_decoder(settings, gpus),
        cores=cores,
        again=settings.again,
        shots=settings.shots,
        retry_failed=settings.retry_failed,
        commit_s=settings.commit_seconds,
        stall_s=settings.stall_seconds,
        memory_bytes=int(settings.decoder_gb * 2**30),
        thumbs=settings.thumbs,
        embed_lines=settings.embed_subtitles,
        captions=_captions(settings),
        log_format=settings.log_format,
        log_level=logging.WARNING if settings.quiet else logging.INFO,
        beside=_beside(chosen, settings.collection),
    )


def _captions(settings: ExtractSettings) -> Writing | None:
    if settings.captions is None:
        return None
    by = "" if settings.captions == OWN else settings.captions
    return Writing(by, settings.caption_beams, download=not settings.dry_run)


def _decoder(settings: ExtractSettings, gpus: int) -> str:
    """The CPU, which can leave out what is not wanted, unless it is to be a GPU."""
    if settings.decoder != "cuda":
        return "cpu"
    from extractor.media.hardware import require

    require(gpus)
    return "cuda"


def _beside(chosen: Chosen, collection: str) -> tuple[Path, ...]:
    """The collection's other stores, if this is one of it."""
    slugs = chosen.library.collections().get(collection, ()) if chosen.slug else ()
    paths = [chosen.library.store_path(slug) for slug in slugs if slug != chosen.slug]
    return tuple(path for path in paths if (path / "store.json").exists())


def _claim(chosen: Chosen, wanted: Wanted) -> Callable[[], None]:
    """What says where the roots lie; whether that can be said is told now."""
    library, claims = chosen.library, wanted.videos.claims() if wanted.videos else {}
    if wanted.texts:
        claims |= {wanted.texts.root: os.fsdecode(wanted.texts.folder)}
    for name, where in claims.items():
        library.require_root(name, where)

    def claim() -> None:
        known = {name: str(folder) for name, folder in library.roots().items()} | library.bases()
        for name, where in claims.items():
            if "://" in where:
                library.claim_base(name, where)
            elif known.get(name) != where:
                library.claim_root(name, Path(where))

    return claim


def _join(chosen: Chosen, collection: str) -> None:
    if chosen.slug and chosen.slug not in chosen.library.collections().get(collection, ()):
        chosen.library.add_store(collection, chosen.slug)


def _watch(this: Round, chosen: Chosen, settings: ExtractSettings, beat: Beat) -> None:
    def look() -> tuple[Wanted, Callable[[], None]]:
        wanted = _wanted(settings, chosen.library)
        return wanted, _claim(chosen, wanted)

    seconds = settings.watch_seconds
    watch(watched(this, seconds), look, lambda later: _follow(later, chosen, settings, beat), seconds)


def _follow(this: Round, chosen: Chosen, settings: ExtractSettings, beat: Beat) -> None:
    may_draw = not settings.quiet and settings.log_format == "text"
    progress = Progress(this.tally, lambda: this.ahead.left(), may_draw=may_draw, beat=beat)
    for event in this.events():
        match event:
            case Loaded():
                progress.clear()
                _tell_loaded(this.tally, event)
            case Report(place, "failed", error=error):
                progress.clear()
                _warn_failed(place, error)
            case Report(place, "skipped", error="not_video") if is_called_video(place.shown):
                progress.clear()
                log.warning("no video, though it is called so path=%s", plain(place.shown))
            case Report() if event.is_damaged:
                progress.clear()
                _warn_damaged(event)
            case Lost(why):
                progress.clear()
                log.warning("a worker %s lost=%d", why, event.count)
            case Committed(entry) if entry is not None:
                _join(chosen, settings.collection)
        progress.show(event)
    progress.clear()
    for place, error in this.tally.untold:
        _warn_failed(place, error)
    this.tally.untold.clear()


def _tell_loaded(tally: Tally, event: Loaded) -> None:
    if tally.loaded[event] > 1:  # another worker there, or one that was started anew
        return
    precision = f" precision={event.precision}" if event.precision else ""
    cosine = "" if event.cosine is None else f" cosine={event.cosine:.5f}"
    log.info("device=%s%s%s batch_pictures=%d", event.device, precision, cosine, event.batch_pictures)


def _warn_failed(place: Place, error: str) -> None:
    log.warning("failed path=%s error=%s", plain(place.shown), plain(error))


def _warn_damaged(report: Report) -> None:
    log.warning(
        "damaged or cut short path=%s lost_packets=%d seconds=%.3f header_seconds=%.3f",
        plain(report.place.shown),
        report.lost_packets,
        report.seconds,
        report.header_s,
    )


def _finish(this: Round, chosen: Chosen, settings: ExtractSettings) -> None:
    if this.links_out:
        log.warning("links that lead out of the root or to folders are not followed links=%d", this.links_out)
    is_there = (chosen.path / "store.json").exists()
    if is_there:
        _join(chosen, settings.collection)
    if this.stop.is_set():
        return
    if settings.prune != "no" and is_there:
        this.prune(force=settings.prune == "force")
    if settings.prune == "force" and is_there:
        return
    _refuse_nothing(this, settings)


def _refuse_nothing(this: Round, settings: ExtractSettings, to_do: int = 0) -> None:
    shown = this.wanted.videos.shown if this.wanted.videos else ""
    has_none = this.tally.found + to_do == this.tally.skipped["not_video"]
    if settings.videos is not None and (has_none or not this.has_listed_videos):
        raise UsageError(f"--videos {shown} holds no videos.")
    if has_none:
        raise UsageError(f"--texts {settings.texts} holds no texts.")


def _check_report(path: Path) -> None:
    """Before the work, not after it."""
    code = 0
    if path.is_dir():
        code = errno.EISDIR
    elif not path.parent.is_dir():
        code = errno.ENOENT
    elif not os.access(path.parent if _is_plain(path) else path, os.W_OK):
        code = errno.EACCES
    if code:
        raise UsageError(f"--report {path} cannot be written: {os.strerror(code)}.")


def _is_plain(path: Path) -> bool:
    return path.is_file() or not path.exists()


def _write_report(path: Path | None, held: dict[str, Any]) -> None:
    if path is None:
        return
    text = json.dumps(held, indent=1) + "\n"
    if _is_plain(path):
        files.replace_text(path, text)
    else:  # /dev/stdout and its like keep their place
        with files.writing(path):
            path.write_text(text)
