"""The tensors of a checkpoint by their names, whatever kind of file it is; nothing in it is ever run."""

from __future__ import annotations

import errno
import json
import pickle
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from core.errors import EncoderError, UsageError
from extractor.encoders.likeness import likeness
from extractor.encoders.runners import asks, runner_at_the_beginning

if TYPE_CHECKING:
    from torch import Tensor

State = Mapping[str, "Tensor"]
Kind = Literal["safetensors", "zip", "pickle"]  # the latter two are torch.save's, new and old

WRAPPERS = ("state_dict", "model")  # what training scripts put their tensors in
DATA = "data.pkl"  # what torch.save's zip says of its tensors
CUT = "it is cut short"
_CODE = "constants.pkl"  # is in TorchScript's alone
_SHOWN = 3  # keys that an error names
_HEAD_BYTES = 512
MOST_HEADER_BYTES = 100_000_000  # that safetensors reads
_MOST_PARSED_BYTES = 4 << 20  # of a header, to say what is wrong; large models have some hundred thousand
_MOST_TIMES = 16  # a file's size; its tensors may share memory, but not without end
_BLOCK_BYTES = 4 << 20
_LFS = b"version https://git-lfs"
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)|[Cc]lass ([\w.]+)")


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, out of whatever a training script wrapped them in."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held: Any = load_file(path) if kind_of(path) == "safetensors" else _unpickled(path)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except SafetensorError as error:
        why = CUT if is_cut(path) else str(error)
        raise EncoderError(f"{path} is no safetensors file, or a damaged one: {why}.") from error
    return _tensors(path, held)


def require_whole(path: Path) -> None:
    """An EncoderError where the check sums of torch.save's file are not those of its bytes, of which torch
    itself takes any; the other kinds have none."""
    if kind_of(path) != "zip":
        return
    with zip_of(path) as held:
        for member in held.infolist():
            if member.compress_type == ZIP_STORED:  # as torch writes all of them
                try:
                    with held.open(member) as file:
                        while file.read(_BLOCK_BYTES):
                            pass
                except OSError as error:
                    raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
                except (BadZipFile, EOFError, RuntimeError, ValueError, NotImplementedError) as error:
                    raise EncoderError(
                        f"{path} is damaged: {member.filename} in it is not what was written."
                    ) from error


def kind_of(path: Path) -> Kind:
    """By how it begins, before anything is loaded for it; an error says what it is instead. Names do not
    count: some authors' files end with an epoch's number."""
    if not path.is_file():
        raise UsageError(f"The weights {path} {'are no file' if path.exists() else 'do not exist'}.")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror}.") from error
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[:1] == b"\x80":
        return "pickle"
    if head[8:9] == b"{":  # behind the length of that header
        return "safetensors"
    if name := runner_at_the_beginning(head):  # a pickle so old that no magic number tells it
        raise asks(path, name)
    raise EncoderError(f"{path} {_what_else(head)}.")


def _what_else(head: bytes) -> str:
    if not head:
        return "is empty"
    if head.startswith(_LFS):
        return "only points to a file in Git LFS: fetch that, as by `git lfs pull`"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE):
        return "is a web page, not the file that was to be downloaded from it"
    return "is no checkpoint: neither safetensors nor what torch.save writes"


def insist(
    found: State,
    wanted: Mapping[str, Sequence[int]],
    *,
    file: str,
    name: str,
    optional: Collection[str] = (),
    are_used: bool = True,
) -> dict[str, Tensor]:
    """The wanted tensors (key: shape), in that order and with all fractions as float32; an EncoderError names
    what is missing, left over or of another shape. What is optional may be there or not, and is left out.
    are_used: all of them, so that each of their values must be a number."""
    wrong = [
        *(f"{key} is missing" for key in wanted if key not in found),
        *(f"{key} is left over" for key in found if key not in wanted and key not in optional),
        *(
            f"{key} is {list(found[key].shape)}, not {list(shape)}"
            for key, shape in wanted.items()
            if key in found and list(found[key].shape) != list(shape)
        ),
    ]
    if wrong:
        require_alike(found, wanted, file=file, name=name)
        raise _unfit(wrong, file, name)
    broken = [key for key in wanted if are_used and not bool(found[key].isfinite().all())]
    if broken:
        more = f", and of {len(broken) - 1} more" if len(broken) > 1 else ""
        raise EncoderError(f"{file} is damaged: values of {broken[0]}{more} are no numbers or infinite.")
    return {key: single(found[key]) for key in wanted}


def require_alike(found: State, names: Iterable[str], *, file: str, name: str) -> None:
    """An EncoderError where a file looks like another family's than these keys do."""
    other = likeness(found)
    if other and other != likeness(names):
        raise EncoderError(f"{file} does not fit {name}: it looks like a checkpoint of {other}.")


def require_any(found: State, names: Sequence[str], *, file: str, name: str) -> None:
    """The same, and where it holds none of these keys."""
    require_alike(found, names, file=file, name=name)
    if not any(key in found for key in names):
        require_all(found, names, file=file, name=name)


def require_all(found: State, names: Sequence[str], *, file: str, name: str) -> None:
    """The same, and where it lacks any of these keys."""
    require_alike(found, names, file=file, name=name)
    if missing := [f"{key} is missing" for key in names if key not in found]:
        raise _unfit(missing, file, name)


def _unfit(wrong: Sequence[str], file: str, name: str) -> EncoderError:
    more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return EncoderError(f"{file} does not fit {name}: {', '.join(wrong[:_SHOWN])}{more}.")


def length_of(found: State, key: str, axis: int, *, file: str, name: str) -> int:
    """How long an axis of a tensor is, for a family whose sizes are read off its checkpoint."""
    if key not in found:
        raise EncoderError(f"{file} does not fit {name}: {key} is missing.")
    shape = found[key].shape
    if not axis < len(shape):
        raise EncoderError(f"{file} does not fit {name}: {key} is {list(shape)}, of too few axes.")
    return int(shape[axis])


def layers_of(found: State, before: str) -> int:
    """How many layers lie under a name, `before` their numbers; that none is missing between them is seen
    when they are filled."""
    return len({key.removeprefix(before).partition(".")[0] for key in found if key.startswith(before)})


def single(tensor: Tensor) -> Tensor:
    """float32 where it holds fractions, of whatever precision; whole numbers stay."""
    return tensor.float() if tensor.is_floating_point() else tensor


def is_cut(path: Path) -> bool:
    """Whether what a safetensors file says of its tensors goes on behind its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        if begin > min(_MOST_PARSED_BYTES, size):
            return size < begin <= MOST_HEADER_BYTES
        try:
            held = json.loads(file.read(begin - 8))
            ends = [int(each["data_offsets"][1]) for each in held.values() if "dtype" in each]
            return begin + max(ends) > size
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            return False


def zip_of(path: Path) -> ZipFile:
    """An EncoderError where its end is not there, which lists what it holds."""
    try:
        return ZipFile(path)
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise EncoderError(
            f"{path} is no checkpoint of torch.save, or a damaged one: {CUT} or damaged at its end."
        ) from error


def _require_saved(path: Path) -> None:
    """An EncoderError for another program's zip, as numpy's .npz, and for TorchScript."""
    with zip_of(path) as held:
        names = {name.rpartition("/")[2] for name in held.namelist()}
    if DATA not in names:
        raise EncoderError(f"{path} is no checkpoint of torch.save, or a damaged one: it holds no {DATA}.")
    if _CODE in names:
        raise EncoderError(
            f"{path} is a TorchScript archive, which holds code, and is not read; "
            "right would be tensors alone, as safetensors or as a state_dict that torch.save wrote."
        )


def _unpickled(path: Path) -> Any:
    import torch

    if kind_of(path) == "zip":
        _require_saved(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old protocols, and that what is sparse takes long
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which torch is told where it looks beyond a file's ends
            raise
        raise EncoderError(f"{path} is no checkpoint of torch.save, or a damaged one: {CUT}.") from error
    except pickle.UnpicklingError as error:
        _require_convertible(path)
        found = _GLOBAL.search(str(error))
        which = f" ({found[1] or found[2]})" if found else ""
        raise EncoderError(
            f"{path} holds more than tensors{which}, and is not unpickled; "
            f"`cinedex convert {path} --to FILE.safetensors` takes out the tensors and runs nothing."
        ) from error
    except Exception as error:  # torch has none of its own for what is no checkpoint
        _require_convertible(path)
        lines = str(error).strip().splitlines()[:1] or [type(error).__name__]
        why = lines[0].partition(". ")[0].rstrip(".")  # what it guesses behind that is for programmers
        raise EncoderError(f"{path} is no checkpoint of torch.save, or a damaged one: {why}.") from error


def _require_convertible(path: Path) -> None:
    """Say at once what `cinedex convert` would."""
    from extractor.encoders.convert import require_convertible

    require_convertible(path)


def _tensors(path: Path, held: Any) -> dict[str, Tensor]:
    for name in WRAPPERS:
        if isinstance(held, dict) and isinstance(held.get(name), dict):
            held = held[name]
    if not isinstance(held, dict) or not held:
        raise EncoderError(f"{path} holds no tensors by name, but {type(held).__name__}.")
    prefix = "module." if all(str(name).startswith("module.") for name in held) else ""
    found = {str(name).removeprefix(prefix): tensor for name, tensor in held.items()}
    for name, tensor in found.items():
        found[name] = _plain(path, name, tensor)
    if sum(tensor.nbytes for tensor in found.values()) > _MOST_TIMES * path.stat().st_size:
        raise EncoderError(f"{path} is damaged: its tensors claim to be far larger than the file.")
    return found


def _plain(path: Path, name: str, held: Any) -> Tensor:
    import torch

    if not isinstance(held, torch.Tensor):
        raise EncoderError(f"{path}: {name} is no tensor, but {type(held).__name__}.")
    if held.layout is not torch.strided or held.device.type != "cpu" or held.is_quantized:
        raise EncoderError(f"{path}: {name} is no plain tensor: sparse, quantised or without values.")
    return held.detach()
