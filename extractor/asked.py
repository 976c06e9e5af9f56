"""Which encoder `extract` was asked for: a name, weights, a look; and what that makes of a store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.collections import Library
from core.errors import StoreError, UsageError
from core.store import Store, store_slug
from core.types import LOOKS, EncoderSpec, Look
from extractor.encoders import (
    BUILT_IN,
    DOWNLOAD,
    PLAIN,
    S3D,
    SHIPPED,
    TAKE_LOOKS,
    TAKE_S3D,
    TAKE_WEIGHTS,
    load,
    require_variant,
)
from extractor.encoders.auto import AUTO, chosen, is_auto
from extractor.encoders.licences import licence_of
from extractor.encoders.recipe import absolute
from extractor.encoders.weights import RANDOM, About, about, hash_of, register, registered, short

if TYPE_CHECKING:
    from extractor.choose import ExtractSettings

log = logging.getLogger(__name__)
_OF_WEIGHTS = ("weights", "random_weights")
_S3D = "s3d_weights"


@dataclass(frozen=True, slots=True)
class AskedEncoder:
    """An encoder by its name, or its family's; what is left open is the store's, or the family's choice."""

    name: str
    weights: str = ""  # the hash of a file's tensors, or "random:SEED"
    look: tuple[tuple[str, str], ...] = ()  # of core.types.LOOKS, what was asked for
    s3d: str = ""  # the hash of its S3D's tensors, where it has one

    def whole(self) -> AskedEncoder:
        """With the variant; a family alone is asked for its own choice, which imports it."""
        family, _, variant = self.name.partition(":")
        if variant or family in PLAIN:
            return replace(self, name=self.name.removesuffix(":"))
        return replace(self, name=load(self.name).spec.name)

    @property
    def slug(self) -> str:
        """The folder of its store; other weights or another look never share one."""
        seed = self.weights.removeprefix(RANDOM)
        which = f"random-{seed}" if self.weights.startswith(RANDOM) else short(self.weights)
        chosen = Look(size=1).but(dict(self.look)).choices.values()
        return "-".join(part for part in (store_slug(self.name), which, short(self.s3d), *chosen) if part)

    def fits(self, slug: str, spec: EncoderSpec) -> bool:
        """Whether a store is this encoder's."""
        if not is_called(spec.name, self.name) or self._unlike(spec.look):
            return False
        if self.weights:
            is_variant = self.name not in PLAIN or spec.name == self.name
            return is_variant and (spec.weights, s3d_of(spec)) == (self.weights, self.s3d)
        return not slug.startswith(
            _special(spec)
        )  # weights of a file and random ones only if they are asked for

    def require(self, path: Path, spec: EncoderSpec) -> None:
        """Refuse by name a store of another encoder, other weights or another look."""
        if not is_called(spec.name, self.name):
            raise StoreError(f"{path} holds vectors of {spec.name}, not of {self.name}.")
        if self.weights and spec.weights != self.weights:
            raise StoreError(
                f"{path} holds vectors of {spec.name} with the weights {spec.weights}, not {self.weights}."
            )
        if self.s3d and s3d_of(spec) != self.s3d:
            raise StoreError(
                f"{path} holds vectors of {spec.name} over an S3D with the weights {s3d_of(spec)}, "
                f"not {self.s3d}."
            )
        for name, value in self._unlike(spec.look):
            raise StoreError(
                f"{path} holds vectors made with --{_flag(name)} {getattr(spec.look, name)}, not {value}."
            )

    def _unlike(self, look: Look) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.look if getattr(look, name) != value]

    def options(self) -> dict[str, Any]:
        """What `load` is given beside the name."""
        found: dict[str, Any] = {}
        if self.weights.startswith(RANDOM):
            found["random_weights"] = int(self.weights.removeprefix(RANDOM))
        elif self.weights:
            found["weights"] = registered(self.weights)
        if self.s3d:
            found[_S3D] = registered(self.s3d)
        if self.look:
            found["look"] = dict(self.look)
        return found


def asked_of(settings: ExtractSettings, library: Library, *, is_free: bool) -> AskedEncoder | None:
    """What was asked for, or None: the store's own. `is_free`: no store says which; nothing asked is auto."""
    if settings.weights is not None and settings.random_weights is not None:
        raise UsageError("--weights and --random-weights exclude each other.")
    name = settings.encoder
    given = [name for name in (*_OF_WEIGHTS, _S3D, *LOOKS) if _is_given(settings, name)]
    if name is None and given:
        raise UsageError(
            f"--{_flag(given[0])} is about an encoder; name it, as in --encoder open_clip:MODEL."
        )
    if name is None and not is_free:
        return None
    name = name or AUTO
    if is_auto(name):
        name = _auto(name, settings, library)
    require_variant(name)
    _require_taken(name.partition(":")[0], given)
    if settings.s3d_weights is not None and settings.weights is None:
        raise UsageError("--s3d-weights goes with --weights: the one is nothing without the other.")
    look = tuple((each, str(getattr(settings, each))) for each in given if each in LOOKS)
    _require_fit(name, settings, library, dict(look))
    return AskedEncoder(absolute(name), _weights(settings), look, _registered(settings.s3d_weights))


def with_download(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The same; where weights are neither given nor random, they may be fetched."""
    can = name.partition(":")[0] in DOWNLOAD and not {"weights", "random_weights"} & set(options)
    return options | ({"download": True} if can else {})


def licence(name: str, options: Mapping[str, Any]) -> str:
    """Of the weights that are, or were, downloaded; "" of those of one's own."""
    family, _, variant = name.partition(":")
    known = about(options["weights"]) if options.get("weights") else None
    is_public = bool(known.names) if known else bool(options.get("download"))
    return licence_of(variant) if family in DOWNLOAD and is_public else ""


def is_called(name: str, asked: str) -> bool:
    """Whether an encoder of that name was meant: by all of it, or by its family."""
    return asked.removesuffix(":") in (name, name.partition(":")[0])


def _require_taken(family: str, given: list[str]) -> None:
    """A stranger is given what was asked for, and says itself what it does not take."""
    for name in given if family in BUILT_IN else ():
        if name in _OF_WEIGHTS and family not in TAKE_WEIGHTS:
            own = "brings its own weights" if family in SHIPPED else "has no weights"
            raise UsageError(f"--{_flag(name)} is not for {family}, which {own}.")
        if name == _S3D and family not in TAKE_S3D:
            own = ", whose own file is --weights FILE" if family == S3D else ""
            raise UsageError(f"--{_flag(name)} is not for {family}{own}, but for {' and '.join(TAKE_S3D)}.")
        if name in LOOKS and family not in TAKE_LOOKS:
            raise UsageError(f"--{_flag(name)} is not for {family}, whose pictures are its own.")


def _require_fit(name: str, settings: ExtractSettings, library: Library, look: dict[str, str]) -> None:
    """A file is tried before a copy of it is kept, unless the collection has been made with it."""
    if settings.weights is None or name.partition(":")[0] not in BUILT_IN:
        return
    hash = hash_of(settings.weights)
    held = _specs(settings, library) if registered(hash) else []
    if not any(is_called(spec.name, name) and spec.weights == hash for spec in held):
        options: dict[str, Any] = {"weights": settings.weights}
        options |= {_S3D: settings.s3d_weights} if settings.s3d_weights else {}
        options |= {"look": look} if look else {}
        load(name, **options)


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _is_given(settings: ExtractSettings, flag: str) -> bool:
    return getattr(settings, flag) is not None


def _special(spec: EncoderSpec) -> str:
    """The beginning of a store's folder whose weights are not those that its name says."""
    return AskedEncoder(spec.name, spec.weights, s3d=s3d_of(spec)).slug


def s3d_of(spec: EncoderSpec) -> str:
    """The hash of its S3D's tensors, or ""."""
    return dict(spec.options).get(S3D, "")


def _auto(name: str, settings: ExtractSettings, library: Library) -> str:
    found = chosen(name, settings.device, [spec.name for spec in _specs(settings, library)])
    log.info("%s is encoder=%s", name, found)
    return found


def _specs(settings: ExtractSettings, library: Library) -> list[EncoderSpec]:
    slugs = library.collections().get(settings.collection, ())
    paths = [library.store_path(slug) for slug in slugs]
    return [Store.open(path).spec for path in paths if (path / "store.json").exists()]


def _weights(settings: ExtractSettings) -> str:
    if settings.random_weights is not None:
        return f"{RANDOM}{settings.random_weights}"
    return _registered(settings.weights)


def _registered(file: Path | None) -> str:
    return "" if file is None else register(file, About(file.name)).hash
