"""Where weights lie: in CINEDEX_WEIGHTS, a folder each, named by the hash of its tensors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import __version__, files
from core.errors import EncoderError, StoreError
from extractor.encoders.tensors import State, kind_of, read, require_whole

if TYPE_CHECKING:
    from torch import Tensor

FILE, ABOUT = "weights.safetensors", "about.json"
RANDOM = "random:"  # instead of a hash, before the seed
_HASHES = "hashes"  # what files were found to hold, so that none is hashed twice
_SHOWN = 6  # digits of a hash that tell people which


@dataclass(frozen=True, slots=True)
class About:
    """What is known of registered weights."""

    source: str  # the file's name, or the address it came from
    names: tuple[
        str, ...
    ] = ()  # whose download it is, "open_clip:MODEL/TAG"; a file of the user's is nobody's
    hash: str = ""
    bytes: int = 0
    licence: str = ""
    config: Mapping[str, Any] | None = None  # of a model that open_clip itself does not list
    created: float = 0.0  # seconds since 1970
    version: str = __version__


def folder() -> Path:
    """CINEDEX_WEIGHTS, else a folder of the user's cache."""
    asked = os.environ.get("CINEDEX_WEIGHTS")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(asked) if asked else Path(cache) / "cinedex" / "weights"


def registered(hash: str) -> Path | None:
    """The file with these tensors, if it was registered here."""
    path = folder() / hash / FILE
    return path if hash and path.is_file() else None


def about(path: Path) -> About | None:
    """What is known of a file, if it is a registered one."""
    beside = path.with_name(ABOUT)
    if path.name != FILE or not beside.is_file():
        return None
    return _read_about(beside)


def called(path: Path) -> str:
    """What a user calls a file: a registered one by the name of that which was given."""
    known = about(path)
    return f"{known.source} (kept in {path.parent})" if known else str(path)


def downloaded(name: str) -> tuple[Path, About] | None:
    """The newest weights that were downloaded under this name."""
    held = [known for known in all_known() if name in known.names]
    if not held:
        return None
    newest = max(held, key=lambda known: known.created)
    return folder() / newest.hash / FILE, newest


def all_known() -> Iterator[About]:
    """Everything that is registered."""
    for name in files.names(folder()):
        path = folder() / name / FILE
        if name != _HASHES and path.is_file() and (found := about(path)) is not None:
            yield found


def register(path: Path, known: About) -> About:
    """Take a file's tensors into the folder; where they are already, nothing is written."""
    hash = hash_of(path)
    final = folder() / hash
    if registered(hash) is None:
        _write(final, path, replace(known, hash=hash))
    found = about(final / FILE)
    if found is None:
        raise EncoderError(f"{final} is damaged: it has no {ABOUT}; remove it, and try again.")
    if not set(known.names) <= set(found.names):
        names = tuple(dict.fromkeys((*found.names, *known.names)))
        found = replace(found, names=names, licence=known.licence, config=known.config)
        files.replace_text(final / ABOUT, _text(found))
    return found


def hash_of(path: Path) -> str:
    """Hash over the tensors: a .bin and a .safetensors of one model have the same."""
    stamp = _stamp(path)
    key = blake2b(os.fsencode(os.path.abspath(path)), digest_size=16).hexdigest()
    cached = folder() / _HASHES / f"{key}.json"
    if (known := _cached(cached)) and known.get("stamp") == stamp:
        return str(known["hash"])
    require_whole(path)
    found = hash_state(read(path))
    if (mine := about(path)) is not None and mine.hash != found:
        raise EncoderError(f"{path} is damaged: its tensors have the hash {found}, not {mine.hash}.")
    with suppress(StoreError), files.writing(cached.parent):  # who may only read there hashes every time
        cached.parent.mkdir(parents=True, exist_ok=True)
        files.replace_text(cached, json.dumps({"path": str(path), "stamp": stamp, "hash": found}) + "\n")
    return found


def hash_state(state: State) -> str:
    """Sorted names, each with dtype, shape and bytes."""
    import torch

    digest = blake2b(digest_size=16)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name}\0{dtype}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def short(hash: str) -> str:
    """Enough of a hash for a folder's name, or for people."""
    return hash[:_SHOWN]


def _write(final: Path, path: Path, known: About) -> None:
    from safetensors.torch import save_file

    state = _alone(read(path))
    try:
        with files.draft(final) as draft:
            save_file(state, draft / FILE)
            files.open_as_usual(draft / FILE)  # it may be carried to where somebody else reads it
            size = (draft / FILE).stat().st_size
            (draft / ABOUT).write_text(_text(replace(known, bytes=size, created=time.time())))
    except StoreError:
        if not final.exists():  # else another process was faster
            raise


def _alone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each with memory of its own, as safetensors wants it; only what shares some is copied."""
    seen = set()
    for name, tensor in state.items():
        storage = tensor.untyped_storage()
        is_alone = tensor.is_contiguous() and storage.nbytes() == tensor.nbytes
        if not is_alone or storage.data_ptr() in seen:
            state[name] = tensor.clone().contiguous()
        seen.add(storage.data_ptr())
    return state


def _text(known: About) -> str:
    return json.dumps(asdict(known), indent=1) + "\n"


def _read_about(path: Path) -> About:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return About(**held | {"names": tuple(held.get("names", ()))})
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise EncoderError(f"{path} is damaged: {error}.") from error


def _cached(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def _stamp(path: Path) -> str:
    kind_of(path)
    held = path.stat()
    return f"{held.st_size}-{held.st_mtime_ns}"
