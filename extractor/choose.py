"""What `extract` can be told, and the store that it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from core.collections import Library
from core.config import Alone, CollectionName, EncoderName, Settings
from core.errors import StoreError, UsageError
from core.store import Store
from core.types import UNKNOWN, Hdr, Points, Scaler, UntaggedHd
from core.writer import MAX_SECONDS
from extractor.asked import AskedEncoder, asked_of, with_download
from extractor.encoders import how
from extractor.hours import Hours
from extractor.videos import Known, VideosTarget, videos_of
from extractor.work import Spool

OWN = "own"  # instead of a name: the encoder itself


class ExtractSettings(Settings):
    """Videos and texts in, vectors into the store. To resume, run it again."""

    videos: str | None = Field(
        None,
        description="a folder, one file, a glob in quotes, a list (.txt .csv .jsonl .parquet) or a URL",
    )
    texts: Path | None = Field(None, description="library texts: a .txt, .jsonl or .csv file")
    encoder: EncoderName = Field(None, description="family:variant or auto; else the store's own, or auto")
    weights: Path | None = Field(None, description="a checkpoint of your own for that encoder")
    random_weights: int | None = Field(
        None, ge=0, lt=1 << 63, description="no weights but random ones, by this seed"
    )
    s3d_weights: Path | None = Field(None, description="of videoclip: its other file, s3d_howto100m.pth")
    scale: Scaler | None = Field(None, description="who resizes pictures; else torch, fast and exact")
    hdr: Hdr | None = Field(None, description="a tone curve for HDR pictures (PQ, HLG), else none")
    untagged_hd: UntaggedHd | None = Field(
        None, description="BT.601 or 709 for HD that does not say which; else 601"
    )
    store: Path | None = Field(None, description="a store's folder, instead of one in --data")
    collection: CollectionName = Field("default", description="what clients call the stores of these videos")
    root: str = Field("", description="a name for the folder; else a known root's, or the folder's own")
    fps: float | None = Field(None, gt=0, le=1000, description="pictures a second")
    points: Points | None = Field(None, description="which pictures: see docs/operations.md")
    count: int | None = Field(None, ge=1, le=100_000, description="so many a video, with --points uniform")
    preset: str | None = Field(None, description="an author's choice of pictures: clip2video-msrvtt or -msvd")
    skip_still: float | None = Field(None, ge=0, lt=1, description="leave out what differs less, as 0.01")
    shots: bool = Field(False, description="record where shots begin; every picture is decoded")
    whole: bool | None = Field(None, description="one clip a video, over all its points")
    clip_seconds: float | None = Field(None, gt=0, le=86_400, description="length of a clip")
    stride_seconds: float | None = Field(
        None, gt=0, le=86_400, description="from one clip's start to the next"
    )
    frames: bool | None = Field(None, description="whether each picture is a row too")
    thumbs: bool = Field(True, description="keep small pictures of each video, one a clip stride")
    embed_subtitles: bool = Field(False, description="vectors for subtitles and transcripts too")
    captions: Annotated[str | None, Alone(OWN)] = Field(
        None, description="write a sentence about each clip; alone: by the encoder itself, if it can"
    )
    caption_beams: int = Field(1, ge=1, le=16, description="sentences that are weighed for each caption")
    workers: int | None = Field(
        None, ge=0, le=256, description="processes; 0: none but this one; else one, or one for each GPU"
    )
    decoders: int = Field(0, ge=0, le=256, description="videos that a worker reads at once; 0: by the cores")
    decoder_gb: float = Field(
        2.0, ge=0.1, le=1024, description="memory that decoding one file may take, in GiB"
    )
    batch: int = Field(
        16, ge=1, le=4096, description="pictures encoded together, or seconds of them by s3d and videoclip"
    )
    device: str = Field("auto", description="auto, cpu, cuda (all GPUs), cuda:1 or cuda:0,1")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="what pictures are encoded in; auto: less than fp32 where that is quick and right"
    )
    compile: bool = Field(False, description="compile the encoder first, which takes a while")
    decoder: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="what decodes videos; auto: the cpu; cuda: the worker's GPU"
    )
    prune: Literal["no", "yes", "force"] = Field("no", description="say what is gone, if it is not too much")
    again: bool = Field(False, description="embed again what is done, and restore what was removed")
    retry_failed: bool = Field(False, description="try again what failed before")
    allow_failed: bool = Field(False, description="exit 0 although some failed")
    commit_seconds: float = Field(
        MAX_SECONDS, gt=0, le=MAX_SECONDS, description="to the first commit; to each next twice as long"
    )
    stall_seconds: float = Field(
        120.0, gt=0, le=86_400, description="a file that makes no progress so long is given up"
    )
    watch: bool = Field(False, description="go on with what arrives, until Ctrl-C or SIGTERM")
    watch_seconds: float = Field(
        10.0, gt=0, le=86_400, description="between two looks; what changed since then is left"
    )
    spool_gb: float = Field(
        20.0, gt=0, le=1_000_000, description="GB at most of what URLs name, kept in the data folder"
    )
    report: Path | None = Field(None, description="write what was done to this file, as JSON")
    dry_run: bool = Field(False, description="do nothing: say what there is to do and how long it would take")
    probe_seconds: float = Field(20.0, gt=0, le=3600, description="how long --dry-run tries it out")
    failed: bool = Field(False, description="do nothing: list what failed, and why")
    json_output: bool = Field(False, alias="json", description="with --failed or --dry-run: one JSON object")
    nice: int = Field(0, ge=0, le=19, description="leave the processor to others: the higher, the more")
    between: str = Field("", description="work in these hours only, as in 22:00-06:00, and pause in between")

    @field_validator("videos")
    @classmethod
    def _no_empty_videos(cls, value: str | None) -> str | None:
        """As for paths, though a glob is none."""
        if value == "":
            raise ValueError("a path must not be empty")
        return value

    @field_validator("between")
    @classmethod
    def _are_hours(cls, value: str) -> str:
        if value:
            Hours.of(value)
        return value

    @field_validator("prune", mode="before")
    @classmethod
    def _prune_as_switch(cls, value: Any) -> Any:
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Chosen:
    """The store to fill, and where it belongs."""

    path: Path
    encoder: str
    library: Library  # where its roots are known; a store outside the data folder keeps its own
    slug: str = ""  # of a store in the library; another joins no collection
    options: Mapping[str, Any] = field(default_factory=dict)  # of the encoder


def choose_store(settings: ExtractSettings, library: Library, sampling: dict[str, Any]) -> Chosen:
    """The store that is named, or that holds this encoder, or the collection's first, or a new one."""
    has_stores = settings.collection in library.collections()
    asked = asked_of(settings, library, is_free=settings.store is None and not has_stores)
    if settings.store is not None:
        found = _named_store(settings, settings.store, asked, library)
    elif asked is not None:
        found = _store_of(asked, settings.collection, library)
    else:
        found = _first_store(settings.collection, library)
    if (found.path / "store.json").exists():
        store = Store.open(found.path)
        if store.spec.weights == UNKNOWN:
            raise StoreError(
                f"{found.path} holds imported vectors of {store.spec.name}, whose weights are unknown, so no "
                "others can be added; name another --collection."
            )
        store.require(store.spec, store.sampling.but(sampling))
    return replace(found, options=with_download(found.encoder, dict(found.options)))


def _named_store(
    settings: ExtractSettings, path: Path, asked: AskedEncoder | None, library: Library
) -> Chosen:
    slug = path.name if _is_inside(settings) else ""
    if path.exists() and (not path.is_dir() or (path / "store.json").exists()):
        return _opened(path, asked, library, slug)
    if asked is None:
        raise UsageError(f"{path} is no store yet; name an encoder for it, as in --encoder auto.")
    return Chosen(path, asked.whole().name, library, slug, asked.options())


def _opened(path: Path, asked: AskedEncoder | None, library: Library, slug: str) -> Chosen:
    """A store that is there, if it is what was asked for; what it says of its encoder holds."""
    spec = Store.open(path).spec
    if asked is not None:
        asked.require(path, spec)
    return Chosen(path, spec.name, library, slug, how(spec))


def library_of(settings: ExtractSettings) -> Library:
    """Where the roots of what is extracted are known: a store outside the data folder knows its own."""
    return Library(settings.data if _is_inside(settings) else settings.store or settings.data)


def asked_videos(settings: ExtractSettings, library: Library) -> VideosTarget | None:
    """What --videos names, by the roots that are known."""
    if settings.videos is None:
        return None
    ours = (settings.data, *([settings.store] if settings.store else []))
    spool = Spool(library.data.absolute() / "spool", int(settings.spool_gb * 1e9))
    return videos_of(settings.videos, Known(spool, settings.root, library.roots(), library.bases(), ours))


def _is_inside(settings: ExtractSettings) -> bool:
    store = settings.store
    return store is None or store.absolute().parent == settings.data.absolute()


def _store_of(asked: AskedEncoder, collection: str, library: Library) -> Chosen:
    for slug in library.collections().get(collection, ()):
        path = library.store_path(slug)
        if (path / "store.json").exists() and asked.fits(slug, Store.open(path).spec):
            return _opened(path, asked, library, slug)
    asked = asked.whole()
    slug = next(library.free_slugs(collection, asked.slug))
    path = library.store_path(slug)
    if path.exists() and (not path.is_dir() or (path / "store.json").exists()):
        return _opened(path, asked, library, slug)
    return Chosen(path, asked.name, library, slug, asked.options())


def _first_store(collection: str, library: Library) -> Chosen:
    slug = library.collections()[collection][0]
    return _opened(library.store_path(slug), None, library, slug)
