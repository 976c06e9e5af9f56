"""`cinedex download`: weights from where open_clip has them, into a folder that can be copied."""

from __future__ import annotations

import sys

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core.config import Settings, run_verb
from core.errors import UsageError
from extractor.encoders import BY_HAND, DOWNLOAD, vocabulary
from extractor.encoders.auto import chosen, is_auto
from extractor.encoders.weights import About, folder


class DownloadSettings(Settings):
    """Fetch an encoder's weights into the folder CINEDEX_WEIGHTS, which can be copied to other machines."""

    encoder: CliPositionalArg[str] = Field(
        "", description="open_clip:MODEL/TAG, hf-hub:…, auto or bert-vocabulary"
    )
    list_all: bool = Field(False, alias="list", description="show every MODEL/TAG, with its licence")
    device: str = Field("auto", description="which auto means: that for a cpu or for cuda")


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(DownloadSettings, download, argv, prog="cinedex download")


def download(settings: DownloadSettings) -> int:
    """One encoder's weights, or the list of all."""
    if settings.list_all:
        sys.stdout.write(listing())
        return 0
    if not settings.encoder:
        raise UsageError("name an encoder, as in `cinedex download open_clip:PE-Core-B-16/meta`, or --list.")
    if settings.encoder == vocabulary.NAME:
        sys.stdout.write(f"vocabulary: {vocabulary.fetch()}\n")
        return 0
    name = chosen(settings.encoder, settings.device) if is_auto(settings.encoder) else settings.encoder
    family, _, variant = name.partition(":")
    if family in BY_HAND:
        raise UsageError(f"{family} is not for download: {BY_HAND[family]}; then give --weights FILE.")
    if family not in DOWNLOAD:
        raise UsageError(f"{name} has nothing to download; encoders of {', '.join(DOWNLOAD)} have.")
    from extractor.encoders.open_clip import fetch

    sys.stdout.write(shown(name, fetch(variant)))
    return 0


def shown(name: str, known: About) -> str:
    """What is there now, where, and under which licence."""
    lines = {
        "encoder": name,
        "folder": str(folder() / known.hash),
        "bytes": f"{known.bytes} ({known.bytes / 1e6:.0f} MB)",
        "from": known.source,
        "licence": known.licence,
    }
    return "".join(f"{key + ':':9} {value}\n" for key, value in lines.items())


def listing() -> str:
    """A line for each model and tag of open_clip's."""
    from extractor.encoders.licences import licence_of
    from extractor.encoders.recipe import FAMILY, pairs

    variants = [f"{model}/{tag}" for model, tag in pairs()]
    width = max(map(len, variants))
    return "".join(f"{FAMILY}:{variant:{width}}  {licence_of(variant)}\n" for variant in variants)
