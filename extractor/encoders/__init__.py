"""Encoders by name: `load("family:variant")`, or as a store knows them; imported when used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import EncoderError, UsageError
from core.types import UNKNOWN, EncoderSpec
from extractor.encoders.weights import RANDOM, folder, registered

if TYPE_CHECKING:
    from extractor.encoders.base import Encoder, Pace

GROUP = "cinedex.encoders"

BUILT_IN = {  # family: (module:function, extra to install)
    "toy": ("extractor.encoders.toy:load", ""),
    "open_clip": ("extractor.encoders.open_clip:load", ""),
    "clip2video": ("extractor.encoders.clip2video:load", ""),
    "s3d": ("extractor.encoders.s3d:load", ""),
    "videococa": ("extractor.encoders.videococa:load", ""),
    "videoclip": ("extractor.encoders.videoclip:load", ""),
    "starter": ("extractor.encoders.starter:load", ""),
    "starter-motion": ("extractor.encoders.starter_motion:load", ""),
    "starter-coca": ("extractor.encoders.starter_coca:load", ""),
}
NOTICES = {  # of families, and those named after them, that must not be taken for more than they are
    "starter": "The starter encoders know only the rendered world of `cinedex sample-videos`; for real "
    "videos use one of open_clip's, as `--encoder auto` does.",
}
SHIPPED = ("starter", "starter-motion", "starter-coca")  # with weights of their own, in the package
TAKE_WEIGHTS = ("open_clip", "clip2video", "s3d", "videococa", "videoclip")  # of a file, or random ones
# May be told who resizes, and how colours are read.
TAKE_LOOKS = ("toy", "open_clip", "clip2video", "videococa", *SHIPPED)
PLAIN = ("clip2video", "s3d", "videoclip", *SHIPPED)  # are whole without a variant
VARIANTS = {"s3d": "unit", "videoclip": "raw"}  # of families that have but one
S3D = "s3d"  # of a spec's options: the hash of the S3D under it
TAKE_S3D = ("videoclip",)  # and so a second file
WRITERS = {"videococa": "extractor.encoders.videococa:load_writer"}  # for captions alone
DOWNLOAD = ("open_clip", "videococa")  # can fetch their weights
BY_HAND = {  # where the weights of others are, for people
    "clip2video": (
        "the README of https://github.com/CryhanFang/CLIP2Video links to Google Drive folders, "
        "one a data set, from which a browser fetches pytorch_model.bin.2 (MSR-VTT, MSVD) or .22 (VATEX)"
    ),
    "s3d": (
        "s3d_howto100m.pth, and the list of words s3d_dict.npy, are on the page of HowTo100M's authors at "
        "www.rocq.inria.fr"
    ),
    "videoclip": (
        "https://dl.fbaipublicfiles.com/MMPT/retri/videoclip/checkpoint_best.pt, whose tensors `cinedex "
        "convert` takes out, and s3d_howto100m.pth on the page of HowTo100M's authors at www.rocq.inria.fr"
    ),
}


def shipped() -> list[str]:
    """Of those in SHIPPED, what has its weights in this installation; told without loading anything."""
    folder = Path(__file__).with_name("shipped")
    return [family for family in SHIPPED if any((folder / family).glob("*.safetensors"))]


def families() -> dict[str, str]:
    """Every family and where its code lies. A stranger cannot shadow a built-in."""
    strangers = {name: point.value for name, point in _strangers().items()}
    return dict(sorted(strangers.items())) | {family: code for family, (code, _) in BUILT_IN.items()}


def load(
    name: str,
    *,
    device: str = "cpu",
    weights: Path | None = None,
    pace: Pace | None = None,
    **options: object,
) -> Encoder:
    """The encoder "family:variant"; a family may have a variant of its own choice when none is named.
    Without a pace it is exact, and not compiled."""
    family, _, variant = name.partition(":")
    loader = _loader(family)
    return loader(variant, device, weights, **_paced(loader, family, pace), **options)


def _paced(loader: Callable[..., Encoder], family: str, pace: Pace | None) -> dict[str, Pace]:
    """For a family that can be told; another is told nothing, and so must have been asked for nothing."""
    if pace is None:
        return {}
    if "pace" in signature(loader).parameters:
        return {"pace": pace}
    asked = "--compile" if pace.compiled_for else f"--precision {pace.precision}"
    if pace.compiled_for or pace.precision != "auto":
        raise UsageError(f"{asked} is not for {family}, which has nothing of the kind; leave it out.")
    return {}


def load_captioner(
    name: str, *, device: str = "cpu", pace: Pace | None = None, download: bool = False
) -> Encoder:
    """An encoder that is to write captions and nothing else, so that it may have no good vectors."""
    family, _, variant = name.partition(":")
    options: dict[str, Any] = {"download": True} if download and family in DOWNLOAD else {}
    if family not in WRITERS:
        return load(name, device=device, pace=pace, **options)
    loader = _function(WRITERS[family])
    return loader(variant, device, **_paced(loader, family, pace), **options)


def notice_of(name: str) -> str | None:
    """What is to be said wherever an encoder, or a store that is called after it, answers."""
    begins = name.replace(":", "-") + "-"
    return next((says for family, says in NOTICES.items() if begins.startswith(f"{family}-")), None)


def require_variant(name: str) -> None:
    """An EncoderError for a variant that its family has not, where that is known without loading anything."""
    family, _, variant = name.partition(":")
    if family in VARIANTS and variant not in ("", VARIANTS[family]):
        raise EncoderError(
            f"There is no {family}:{variant}; there are {family} and {family}:{VARIANTS[family]}."
        )


def load_again(spec: EncoderSpec, *, device: str = "cpu") -> Encoder:
    """The encoder that made a store's vectors, from what the store says of it. Nothing is downloaded."""
    found = load(spec.name, device=device, **how(spec))
    if spec.name.partition(":")[0] in SHIPPED and spec.weights not in (UNKNOWN, found.spec.weights):
        raise EncoderError(
            f"{spec.name} of this installation has the weights {found.spec.weights}, not those that made the "
            f"store, {spec.weights}: extract anew, or install the release that made it."
        )
    return found


def how(spec: EncoderSpec) -> dict[str, Any]:
    """What `load` needs beside the name to make the same vectors again."""
    found: dict[str, Any] = {}
    family = spec.name.partition(":")[0]
    if s3d := dict(spec.options).get(S3D):
        found["s3d_weights"] = _there(spec, s3d)
    if family in SHIPPED:
        pass  # a file that happens to be the same is none of theirs
    elif spec.weights.startswith(RANDOM):
        found["random_weights"] = int(spec.weights.removeprefix(RANDOM))
    elif (file := registered(spec.weights)) is not None:
        found["weights"] = file
    elif (
        family in TAKE_WEIGHTS and "/" not in spec.name and spec.weights != UNKNOWN
    ):  # no tag: the file that it was made with is all there is
        found["weights"] = _there(spec, spec.weights)
    if family in TAKE_LOOKS and spec.look.choices:
        found["look"] = spec.look.choices
    return found


def _there(spec: EncoderSpec, hash: str) -> Path:
    """The registered file, or an EncoderError."""
    file = registered(hash)
    if file is None:
        raise EncoderError(
            f"The weights {hash} of {spec.name} are not in {folder()}: "
            "copy them there from where the store was made, or run `extract` with the same --weights here."
        )
    return file


def _loader(family: str) -> Callable[..., Encoder]:
    if family in BUILT_IN:
        code, extra = BUILT_IN[family]
        try:
            found = _function(code)
        except ModuleNotFoundError as error:
            if not extra:
                raise
            raise EncoderError(f"{family} needs {error.name}: pip install 'cinedex[{extra}]'.") from error
        return found
    stranger = _strangers().get(family)
    if stranger is None:
        raise EncoderError(f"There is no encoder family {family!r}; there are {', '.join(families())}.")
    try:
        loaded: Callable[..., Encoder] = stranger.load()
    except (ImportError, AttributeError) as error:
        raise EncoderError(f"{family} ({stranger.value}) does not load: {error}.") from error
    return loaded


def _function(code: str) -> Callable[..., Encoder]:
    module, _, name = code.partition(":")
    found: Callable[..., Encoder] = getattr(import_module(module), name)
    return found


def _strangers() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}
