"""`--dry-run`: what there is to do, what it would give and what it would take. Nothing is done or written."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core import files
from core.store import Store
from core.types import KINDS, Kind
from extractor.encoders import notice_of
from extractor.job import Round
from extractor.lengths import MOST_FILES, Lengths, known_contents, look_at
from extractor.probe import Probed, Spent, probe
from extractor.progress import clock
from extractor.tally import Tally
from extractor.work import Job, Spool, Work, size_of

MOST_SPOOL_BYTES = 2_000_000_000  # of what is fetched to be looked into
_ROW_BYTES, _SOURCE_BYTES = 12, 300  # beside the vectors: times, facts, words
_NUMBER_BYTES = 2  # float16
_TILE_BYTES = 4_500  # of a thumbnail, where no video was finished that has some
_UNFIT = {  # which only a look at them tells: of one, and of several
    "not_video": ("that is no video", "that are no videos"),
    "still": ("still picture", "still pictures"),
}


@dataclass
class Sampled:
    """Some of many by chance, all alike, without holding the many."""

    most: int
    count: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        self.works: list[Work] = []
        self._chance = random.Random(0)

    def add(self, work: Work) -> None:
        self.count += 1
        self.bytes += size_of(work.place)
        if len(self.works) < self.most:
            self.works.append(work)
        elif (at := self._chance.randrange(self.count)) < self.most:
            self.works[at] = work

    def shuffled(self) -> list[Work]:
        return self._chance.sample(self.works, len(self.works))


def estimate(this: Round, probe_seconds: float) -> dict[str, Any]:
    """What `--report` and `--json` hold; null where nothing could be found out."""
    videos, texts = Sampled(MOST_FILES), Sampled(MOST_FILES)
    for work in this.works():
        (videos if work.text is None else texts).add(work)
    with _spool_of(videos.works) as folder:
        return _estimated(this, probe_seconds, (videos, texts), Path(folder))


def _estimated(
    this: Round, probe_seconds: float, of_kinds: tuple[Sampled, Sampled], folder: Path
) -> dict[str, Any]:
    videos, texts = of_kinds
    store = Store.open(this.job.store) if (this.job.store / "store.json").exists() else None
    lengths = look_at(
        [_fetched_to(folder, work) for work in videos.shuffled() if not _is_large(work)],
        known_contents(store) if store else (),
        this.stop,
    )
    job = replace(this.job, sampling=asdict(store.sampling)) if store else this.job
    works, sentences = ([], []) if this.stop.is_set() else (lengths.works, texts.shuffled())
    of_videos = probe(job, works, probe_seconds, _pictures, this.stop) if works else None
    of_texts = probe(job, sentences, probe_seconds / 4, _texts, this.stop) if sentences else None
    probed = [each for each in (of_videos, of_texts) if each]
    if store and probed:
        store.require(probed[0].store.spec)
    scale = videos.bytes / lengths.bytes if lengths.bytes else 1.0
    pictures, expected = _expected(lengths, of_videos, scale)
    lines = _lines(job, lengths, of_videos, scale)
    rows: dict[Kind, int | None] | None = None
    if expected is not None:
        rows = {kind: expected[kind] for kind in KINDS}
        rows["text"] = (
            None if lines is None else texts.count + lines + (expected["clip"] if job.captions else 0)
        )
    beside_bytes = _beside_bytes(job, lengths, of_videos, scale)
    counts, of_files = this.tally.as_json(), _of_videos(videos, lengths, scale)
    to_do = videos.count + texts.count + this.tally.copies
    return {
        "store": str(this.job.store),
        "encoder": this.job.encoder,
        "encoder_notice": notice_of(this.job.encoder),
        "found": this.tally.found + videos.count + texts.count,
        "to_do": to_do,
        "copies": this.tally.copies + of_files["copies"],
        "skipped": counts["skipped"],
        "failed": counts["failed"],
        "videos": of_files,
        "texts": texts.count,
        "rows": rows,
        "disk_bytes": _disk_bytes(rows, videos.count + texts.count, probed, beside_bytes),
        "seconds": _seconds(of_videos, pictures, of_texts, texts.count),
        "probe": {
            "pictures": of_videos.tally.pictures if of_videos else 0,
            "videos": of_videos.tally.videos if of_videos else 0,
            "seconds": round(of_videos.total.wall, 3) if of_videos else 0.0,
        },
    }


def _spool_of(works: Sequence[Work]) -> tempfile.TemporaryDirectory[str]:
    """A spool for once: on the disk of the one that there is, if one is."""
    kept = next((work.remote.spool.folder for work in works if work.remote), None)
    within = kept if kept and os.access(kept, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix=".cinedex-dry-run-", dir=within)


def _fetched_to(folder: Path, work: Work) -> Work:
    """What lies far away leaves nothing behind either."""
    if work.remote is None:
        return work
    kept = Spool(folder, min(work.remote.spool.most_bytes, MOST_SPOOL_BYTES))
    return replace(work, remote=replace(work.remote, spool=kept))


def _is_large(work: Work) -> bool:
    """Whether a run would fetch it, but it is too much for a try."""
    return work.remote is not None and MOST_SPOOL_BYTES < size_of(work.place) <= work.remote.spool.most_bytes


def _pictures(tally: Tally) -> int:
    return tally.pictures


def _texts(tally: Tally) -> int:
    return tally.done


def _of_videos(videos: Sampled, lengths: Lengths, scale: float) -> dict[str, Any]:
    per_file = videos.count / lengths.looked if lengths.looked else 1.0
    return {
        "count": videos.count,
        "bytes": videos.bytes,
        "seconds": round(lengths.seconds * scale, 3),
        "looked": lengths.looked,
        "copies": round(lengths.copies * per_file),
        "unreadable": round(lengths.unreadable * per_file),
        **{why: round(lengths.unfit[why] * per_file) for why in _UNFIT},
    }


def _expected(
    lengths: Lengths, probed: Probed | None, scale: float
) -> tuple[int | None, Counter[Kind] | None]:
    """Pictures and rows: of a grid by the lengths, else as the videos that were finished had them."""
    if probed is None:
        return 0, Counter()
    sampling, run = probed.store.sampling, probed.store.spec.look.run
    if sampling.points == "fps" and not sampling.skip_still and not sampling.preset:
        rows = lengths.rows(sampling)
        pictures = run * lengths.pictures(sampling)
    else:
        had, have = (
            (float(probed.tally.videos), float(len(lengths.works)))
            if sampling.points == "uniform" or sampling.preset
            else (probed.video_s, lengths.seconds)
        )
        if not had:
            return None, None
        rows = Counter({kind: round(count * have / had) for kind, count in probed.tally.rows.items()})
        exact = probed.is_whole or not sampling.keep_frames
        tried = probed.tally.pictures if exact else run * probed.tally.rows["frame"]
        pictures = round(tried * have / had)
    return round(pictures * scale), Counter({kind: round(count * scale) for kind, count in rows.items()})


def _lines(job: Job, lengths: Lengths, probed: Probed | None, scale: float) -> int | None:
    """Rows of subtitles, as many in a second as the videos that were finished had; None where none was."""
    if probed is None or not job.embed_lines:
        return 0
    if not probed.video_s:
        return None
    return round(probed.tally.rows["text"] * lengths.seconds / probed.video_s * scale)


def _beside_bytes(job: Job, lengths: Lengths, probed: Probed | None, scale: float) -> int:
    """Thumbnails and lines likewise; of films too long to be finished, thumbnails as they commonly are."""
    if probed is None:
        return 0
    if probed.video_s:
        return round(probed.beside_bytes * lengths.seconds / probed.video_s * scale)
    from extractor.media.thumbs import MOST_TILES  # torch's import is the trial's to measure

    stride_s = probed.store.sampling.stride_seconds
    tiles = sum(min(MOST_TILES, 1 + facts.seconds / stride_s) for facts in lengths.facts)
    return round(tiles * _TILE_BYTES * scale) if job.thumbs else 0


def _disk_bytes(
    rows: Mapping[Kind, int | None] | None, sources: int, probed: Sequence[Probed], beside_bytes: int
) -> int | None:
    counts = [None] if rows is None else list(rows.values())
    known = [count for count in counts if count is not None]
    if len(known) < len(counts):
        return None
    dim = max((each.store.spec.dim for each in probed), default=0)
    return sum(known) * (_NUMBER_BYTES * dim + _ROW_BYTES) + sources * _SOURCE_BYTES + beside_bytes


def _seconds(
    videos: Probed | None, pictures: int | None, texts: Probed | None, count: int
) -> dict[str, float | None]:
    if pictures is None or (videos and not videos.total.units):
        return {"wall": None, "cpu": None}
    parts = [videos.expected(pictures)] if videos else []
    parts += [texts.expected(count)] if texts else []
    once = texts.once if videos and texts else Spent()  # what begins, begins once
    return {
        "wall": round(sum(each.wall for each in parts) - once.wall, 3),
        "cpu": round(sum(each.cpu for each in parts) - once.cpu, 3),
    }


def in_words(held: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [_found(held), *_media(held["videos"]), _rows(held), *([_time(held)] if held["to_do"] else [])]
    return "".join(f"{line}\n" for line in lines)


def _found(held: Mapping[str, Any]) -> str:
    skips = [f"{count} {why.replace('_', ' ')}" for why, count in held["skipped"].items() if count]
    news = held["copies"] - held["videos"]["copies"]
    of_these = f" ({news} new columns or sidecars only)" if news else ""
    parts = [f"{held['to_do']} to do{of_these}"]
    parts += [f"{sum(held['skipped'].values())} skipped ({', '.join(skips)})"] if skips else []
    parts += [f"{len(held['failed'])} that cannot be listed"] if held["failed"] else []
    return f"{held['found']} found: {', '.join(parts)}."


def _media(videos: Mapping[str, Any]) -> list[str]:
    if not videos["count"]:
        return []
    is_all = videos["looked"] == videos["count"]
    parts = [f"{videos['count']} videos of {clock(videos['seconds'])} in {files.shown_size(videos['bytes'])}"]
    parts += [] if is_all else [f"by the headers of {videos['looked']} of them"]
    parts += [f"{videos['copies']} copies"] if videos["copies"] else []
    parts += [f"{videos['unreadable']} that cannot be opened"] if videos["unreadable"] else []
    parts += [f"{videos[why]} {named[videos[why] > 1]}" for why, named in _UNFIT.items() if videos[why]]
    return [f"{', '.join(parts)}."]


def _rows(held: Mapping[str, Any]) -> str:
    if held["rows"] is None:
        return "Its rows are not known, since no video was finished: give --probe-seconds more."
    counts = " and ".join(f"{count} {kind} rows" for kind, count in held["rows"].items() if count)
    if held["disk_bytes"] is None:
        return (
            f"{counts}; of subtitles it is not known, since no video was finished: give --probe-seconds more."
        )
    return f"{counts or 'no new rows'}; {files.shown_size(held['disk_bytes'])} in {held['store']}."


def _time(held: Mapping[str, Any]) -> str:
    seconds, tried = held["seconds"], held["probe"]
    if seconds["wall"] is None:
        return "Its time is not known, since no picture was done: give --probe-seconds more."
    by = f"; by {tried['pictures']} pictures in {tried['seconds']:.1f} s" if tried["pictures"] else ""
    return f"{clock(seconds['wall'])} from now, {clock(seconds['cpu'])} of processors{by}."
