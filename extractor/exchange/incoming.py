"""`cinedex import`: vectors that another tool made, or an export of ours, into a store."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core.collections import Library
from core.config import Settings, run_verb
from core.errors import StoreError, UsageError
from core.store import Store, store_slug
from core.types import UNKNOWN, EncoderSpec, Look, Sampling
from extractor.exchange.found import Dataset
from extractor.exchange.intake import Intake, Naming, Recipe
from extractor.exchange.media import Media
from extractor.exchange.ours import Ours, is_ours
from extractor.exchange.pictures import IMAGES, METADATA, TEXTS, EncodedPictures
from extractor.exchange.survey import Survey, survey
from extractor.exchange.tables import Tables
from extractor.exchange.videos import EncodedVideos, files_in
from extractor.find import Target
from extractor.roots import name_root

log = logging.getLogger(__name__)

Format = Literal["clip-video-encode", "clip-retrieval", "npy"]


class ImportSettings(Settings):
    """Vectors that another tool made, or `cinedex export --to npy`, into a store."""

    folder: CliPositionalArg[Path] = Field(description="what the other tool wrote")
    source_format: Literal["auto", Format] = Field("auto", alias="from", description="which tool's")
    encoder: str | None = Field(None, description="what made the vectors, family:variant; an export knows")
    dim: int | None = Field(None, ge=1, le=65_536, description="how many numbers a vector has, to be sure")
    fps: float | None = Field(
        None, gt=0, le=1000, description="pictures a second, where the folder has no times"
    )
    clips: bool = Field(True, description="of pictures without times, make clip rows as well")
    clip_seconds: float = Field(8.0, gt=0, le=86_400, description="length of such a clip")
    stride_seconds: float = Field(4.0, gt=0, le=86_400, description="from one such clip's start to the next")
    stills: bool = Field(False, description="clip-retrieval: each picture is one of its own, of no video")
    normalise: bool = Field(False, description="make every vector's length 1")
    media: Path | None = Field(None, description="the folder of the videos, to know them by content")
    root: str = Field("", description="a name for the videos' folder; else its own, or the imported one's")
    store: Path | None = Field(None, description="a store's folder, instead of one in --data")
    collection: str = Field("default", description="what clients call the stores of these videos")
    again: bool = Field(False, description="import again what is there, and restore what was removed")


def main(argv: list[str] | None = None) -> int:
    """`cinedex import`."""
    return run_verb(ImportSettings, import_, argv, prog="cinedex import")


def import_(settings: ImportSettings) -> int:
    """Look at all of it first, then write."""
    dataset = _dataset(settings)
    library = Library(settings.data if _is_inside(settings) else settings.store or settings.data)
    naming = _naming(settings, library)
    found = survey(dataset, settings.dim, naming.place)
    if not found.rows:
        raise UsageError(f"{settings.folder} holds no vectors.")
    spec = dataset.spec if isinstance(dataset, Ours) else _stated(settings, found)
    path = _path(settings, library, spec)
    recipe = _recipe(settings, found, spec.sampling, is_ours=isinstance(dataset, Ours))
    if naming.media:
        target = naming.media.target
        library.claim_root(target.root, Path(os.fsdecode(target.folder)))
    store = _opened(path, spec, dataset)
    intake = Intake(store, naming, recipe)
    for source in dataset:
        intake.take(source)
    intake.finish()
    if path == library.store_path(path.name) and path.name not in library.collections().get(
        settings.collection, ()
    ):
        library.add_store(settings.collection, path.name)
    sys.stdout.write(f"{intake.in_words()}\n")
    return 0


# --- what is there -----------------------------------------------------------------------------------


def _dataset(settings: ImportSettings) -> Dataset:
    folder, fps = settings.folder, settings.fps
    if not folder.is_dir():
        raise UsageError(f"{folder} {'is no folder' if folder.exists() else 'does not exist'}.")
    found = settings.source_format if settings.source_format != "auto" else format_of(folder)
    if settings.stills and found != "clip-retrieval":
        raise UsageError(f"--stills is for pictures of clip-retrieval; {folder} is read as {found}.")
    if found == "npy" and is_ours(folder):
        _refuse_for_ours(settings)
        return Ours(folder)
    _require_encoder(settings)
    match found:
        case "npy":
            return Tables(folder, fps)
        case "clip-retrieval":
            return EncodedPictures(folder, fps, settings.stills)
        case "clip-video-encode":
            return EncodedVideos(folder, fps)


def format_of(folder: Path) -> Format:
    """Whose layout a folder has, or a UsageError that says which are known."""
    if (folder / METADATA).is_dir() and any((folder / name).is_dir() for name in (IMAGES, TEXTS)):
        return "clip-retrieval"
    arrays = files_in(folder, ".npy")
    if is_ours(folder) or any(path.with_suffix(".parquet").is_file() for path in folder.glob("*.npy")):
        return "npy"
    if arrays or files_in(folder, ".tar", ".tar.gz", ".npz"):
        return "clip-video-encode"
    raise UsageError(
        f"{folder} has neither .npy files nor tars of them, as clip-video-encode, clip-retrieval "
        "and `cinedex export --to npy` write."
    )


def _refuse_for_ours(settings: ImportSettings) -> None:
    """An export says itself what it holds."""
    idle = {
        "--fps": settings.fps,
        "--normalise": settings.normalise,
        "--media": settings.media,
        "--root": settings.root,
    }
    for flag, value in idle.items():
        if value:
            raise UsageError(f"{flag} does not go with {settings.folder}, an export that says so itself.")
    name = Ours(settings.folder).spec.name
    if settings.encoder not in (None, name):
        raise UsageError(f"{settings.folder} holds vectors of {name}, not of {settings.encoder}.")


def _require_encoder(settings: ImportSettings) -> None:
    if settings.encoder is None:
        raise UsageError(
            f"{settings.folder} does not say what made its vectors; --encoder does, as in "
            "--encoder open_clip:ViT-B-32/laion2b_s34b_b79k."
        )
    family, _, variant = settings.encoder.partition(":")
    if not family or not variant:
        raise UsageError(f"--encoder {settings.encoder} must be family:variant, as in toy:rgb.")


def _naming(settings: ImportSettings, library: Library) -> Naming:
    if settings.media is None:
        folder = os.path.abspath(os.fsencode(settings.folder))
        return Naming(name_root(folder, settings.root)[0])
    if not settings.media.is_dir():
        raise UsageError(f"--media {settings.media} is no folder.")
    asked = os.path.abspath(os.fsencode(settings.media))
    root, folder = name_root(asked, settings.root, library.roots())
    return Naming(root, Media(Target(root, folder, "folder", asked[len(folder) :].lstrip(b"/"))))


# --- where it goes -----------------------------------------------------------------------------------


def _is_inside(settings: ImportSettings) -> bool:
    store = settings.store
    return store is None or store.absolute().parent == settings.data.absolute()


def _stated(settings: ImportSettings, found: Survey) -> EncoderSpec:
    """What is said of the vectors: a name and a dimension; how pictures were looked at is not known."""
    sampling = Sampling()
    if settings.clips:
        sampling = Sampling(
            fps=settings.fps or sampling.fps,
            clip_seconds=settings.clip_seconds,
            stride_seconds=settings.stride_seconds,
        )
    assert settings.encoder is not None
    return EncoderSpec(settings.encoder, found.dim, Look(size=0), weights=UNKNOWN, sampling=sampling)


def _recipe(settings: ImportSettings, found: Survey, sampling: Sampling, *, is_ours: bool) -> Recipe:
    if not is_ours and not found.are_unit and not settings.normalise:
        log.warning(
            "the vectors are not of length 1, and scores are inner products; --normalise makes them so "
            "shortest=%.3g longest=%.3g",
            found.shortest,
            found.longest,
        )
    is_unit = settings.normalise or found.are_unit
    clips = sampling if settings.clips and not is_ours else None
    return Recipe(clips, is_unit, settings.normalise, settings.again)


def _path(settings: ImportSettings, library: Library, spec: EncoderSpec) -> Path:
    """The store that holds such vectors already, or a new one's folder."""
    if settings.store is not None:
        return settings.store
    for slug in library.collections().get(settings.collection, ()):
        path = library.store_path(slug)
        held = Store.open(path).spec
        if held.fingerprint == spec.fingerprint:
            return path
        if held.name == spec.name:
            raise StoreError(
                f"The collection {settings.collection} has vectors of {held.name} ({held.fingerprint}), "
                f"and these are others ({spec.fingerprint}): name another one with --collection."
            )
    slug = store_slug(spec.name) + ("-imported" if spec.weights == UNKNOWN else "")
    return library.store_path(next(library.free_slugs(settings.collection, slug)))


def _opened(path: Path, spec: EncoderSpec, dataset: Dataset) -> Store:
    if isinstance(dataset, Ours):
        return Store.create(path, spec, spec.sampling, dataset.probes())
    if not (path / "store.json").exists():
        return Store.create(path, spec, spec.sampling)
    store = Store.open(path)
    if store.spec.name == spec.name and store.spec.dim != spec.dim:
        raise StoreError(f"{path} holds vectors of {store.spec.dim} numbers, not of {spec.dim}.")
    store.require(spec)  # each row has its times; at which rate they were taken may differ
    return store
