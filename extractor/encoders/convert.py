"""`cinedex convert`: the tensors of a checkpoint that holds Python objects, once, as safetensors.

The file is read in a process of its own, with limits and without torch, as inert data (`pickles`): whatever
it asks to be run is passed over.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core import files
from core.config import Settings, run_verb
from core.errors import EncoderError, Error, UsageError
from extractor.encoders import outflow, words
from extractor.encoders.archive import opened
from extractor.encoders.runners import asks
from extractor.encoders.tensors import CUT, is_cut, kind_of
from extractor.work import how_ended

_SHOWN = 8  # of what was left out
TENSORS, WORDS = ".safetensors", ".json"
_WORDS_FROM = ".npy"


class ConvertSettings(Settings):
    """Take the tensors out of a checkpoint that holds Python objects, or the words out of a pickled list
    (.npy); nothing in it is run."""

    file: CliPositionalArg[Path] = Field(description="what torch.save or numpy.save wrote")
    to: Path | None = Field(None, description="the new file: *.safetensors, or *.json for a list of words")


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost."""

    memory_bytes: int = 2 << 30  # of address space, beside the file itself, which is mapped
    cpu_s: float = 300.0
    cpu_s_per_byte: float = 2e-8


LIMITS = Limits()
GLANCE = Limits(1 << 30, 10.0)  # to say what is wrong before anybody asks for more


@dataclass(frozen=True, slots=True)
class Report:
    """What was taken, and what was not."""

    count: int  # tensors, or words
    bytes: int
    taken_from: str  # the key it lay under, or ""
    left_out: tuple[str, ...]  # keys, with what they hold


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(ConvertSettings, convert, argv, prog="cinedex convert")


def convert(settings: ConvertSettings) -> int:
    """One file."""
    if settings.to is None:
        raise UsageError(f"name the new file, as in --to {settings.file.stem}{TENSORS}.")
    report = converted(settings.file, settings.to)
    of = f" of {settings.file}" + (f", {report.taken_from!r}" if report.taken_from else "")
    what = "words" if settings.to.suffix.lower() == WORDS else "tensors"
    left = report.left_out
    more = f", and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    lines = {
        "file": str(settings.to),
        what: f"{report.count}{of}",
        "bytes": f"{report.bytes} ({report.bytes / 1e6:.1f} MB)",
        "left out": ", ".join(left[:_SHOWN]) + more if left else "nothing",
    }
    sys.stdout.write("".join(f"{key + ':':9} {value}\n" for key, value in lines.items()))
    return 0


def converted(path: Path, to: Path, limits: Limits = LIMITS) -> Report:
    """Written whole or not at all; an EncoderError says what is wrong with the file."""
    is_list = path.suffix.lower() == _WORDS_FROM
    if to.suffix.lower() != (wanted := WORDS if is_list else TENSORS):
        raise UsageError(f"--to {to} must end in {wanted}, for {'words' if is_list else 'tensors'}.")
    if os.path.lexists(to):
        raise UsageError(f"--to {to} exists; name a file that does not, or remove it.")
    if not to.absolute().parent.is_dir():
        raise UsageError(f"--to {to} cannot be written: there is no folder {to.absolute().parent}.")
    if not is_list and kind_of(path) == "safetensors":
        if is_cut(path):
            raise EncoderError(f"{path} is no safetensors file, or a damaged one: {CUT}.")
        raise UsageError(f"{path} is safetensors already, which --weights takes as it is.")
    if not path.is_file():
        raise UsageError(f"{path} does not exist.")
    draft = to.with_name(f"{files.TEMP}{uuid.uuid4().hex}")
    try:
        said = _in_a_child(limits, path, _written, to, draft)
        with files.writing(to):
            files.sync(draft)
            os.rename(draft, to)
            files.sync(to.absolute().parent)
    finally:
        draft.unlink(missing_ok=True)
    return Report(said["count"], to.stat().st_size, said["taken_from"], tuple(said["left_out"]))


def require_convertible(path: Path, *, is_list: bool = False) -> None:
    """An EncoderError where there is nothing to convert, or where it asks to run what can run anything. What
    takes more than a glance is let pass. is_list: of words, whatever the file's name ends in."""
    if multiprocessing.current_process().daemon:  # which may have no child
        return
    try:
        said = _in_a_child(GLANCE, path, _listed if is_list else _looked, path)
    except _CostlyError:
        return
    if said["runs"]:
        raise asks(path, said["runs"], has_tensors=True)


class _CostlyError(EncoderError):
    """It ended before it had said anything, or took more memory than it may."""


def _in_a_child(
    limits: Limits, path: Path, act: Callable[..., dict[str, Any]], to: Path, *args: Path
) -> Mapping[str, Any]:
    """What it reports, as JSON: of what comes from there nothing is unpickled either."""
    context = multiprocessing.get_context("spawn")
    line, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, limits, path, act, to, *args), daemon=True)
    try:
        process.start()
        theirs.close()
        try:
            said: dict[str, Any] = json.loads(line.recv_bytes())
        except EOFError:
            process.join()
            raise _CostlyError(
                f"{path} cannot be converted: the process that read it {how_ended(process.exitcode)}."
            ) from None
        process.join()
    finally:
        line.close()
        if process.pid is not None and process.exitcode is None:
            process.kill()
            process.join()
    if "error" in said:
        raise (_CostlyError if said.get("is_costly") else EncoderError)(str(said["error"]))
    return said


# --- the child's side --------------------------------------------------------------------------------


def _work(
    line: Connection,
    limits: Limits,
    path: Path,
    act: Callable[..., dict[str, Any]],
    to: Path,
    *args: Path,
) -> None:
    _limit(path.stat().st_size, limits)
    try:
        said = act(path, *args)
    except Error as error:
        said = {"error": str(error)}
    except OSError as error:  # what cannot be read says so itself
        said = {"error": f"{to} cannot be written: {error.strerror or error}."}
    except (MemoryError, RecursionError):
        why = f"{path} is no honest checkpoint: reading it takes more memory than it may."
        said = {"error": why, "is_costly": True}
    line.send_bytes(json.dumps(said).encode())


def _listed(path: Path) -> dict[str, Any]:
    words.unpickled(path)
    return {"runs": ""}


def _looked(path: Path) -> dict[str, Any]:
    archive = opened(path)
    outflow.taken(archive)
    return {"runs": archive.runs}


def _written(path: Path, draft: Path) -> dict[str, Any]:
    if path.suffix.lower() == _WORDS_FROM:
        held = words.unpickled(path)
        draft.write_text(json.dumps(held, ensure_ascii=False) + "\n", encoding="utf-8")
        return {"count": len(held), "taken_from": "", "left_out": []}
    return outflow.written(path, draft)


def _limit(bytes: int, limits: Limits) -> None:
    """On memory, processor and what is written; whatever the file does, this process pays for it."""
    cpu_s = ceil(limits.cpu_s + limits.cpu_s_per_byte * bytes)
    with suppress(OSError, ValueError):  # some systems have not all of them, or lower ones already
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        mapped = pages * resource.getpagesize() + bytes + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (mapped, mapped))
    for limit, most in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, outflow.most_bytes(bytes)),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (most, most))
