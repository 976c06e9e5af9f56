"""`cinedex doctor`: what is installed, what is there, and what is wrong, in plain words.

What may fail to import, or crash, is asked in children: a doctor must outlive the illness.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import Field

from core import __version__, files
from core.collections import Library
from core.config import Settings, run_verb
from core.errors import Error
from core.store import Store
from extractor.encoders import NOTICES, notice_of
from extractor.encoders import weights as registry
from index.snapshot import Snapshot, current

DECODERS = ("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg", "prores", "theora", "wmv3")
LOW_SPACE_BYTES = 1 << 30

State = Literal["ok", "note", "wrong"]


class DoctorSettings(Settings):
    """Say what is installed, what is there and what is wrong. Exit 1 if something is wrong."""

    json_output: bool = Field(False, alias="json", description="one JSON object instead of lines")
    network: bool = Field(False, description="also try whether weights could be downloaded")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    state: State
    about: str
    says: str


def main(argv: list[str] | None = None) -> int:
    """The verb."""
    return run_verb(DoctorSettings, _main, argv, prog="cinedex doctor")


def _main(settings: DoctorSettings) -> int:
    found = list(examine(settings.data, network=settings.network))
    wrong = [finding.says for finding in found if finding.state == "wrong"]
    if settings.json_output:
        answer = {"version": __version__, "findings": [asdict(f) for f in found], "wrong": wrong}
        sys.stdout.write(json.dumps(answer, indent=1) + "\n")
    else:
        sys.stdout.write("".join(f"{f.state:5}  {f.about:9}  {f.says}\n" for f in found))
        sys.stdout.write(f"{len(wrong)} wrong.\n" if wrong else "Nothing is wrong.\n")
    return 1 if wrong else 0


def examine(data: Path, *, network: bool = False) -> Iterator[Finding]:
    """Everything the doctor looks at, in the order it is shown."""
    asked = {name: _ask(code) for name, code in PROBES.items()}  # all at once: torch takes its time
    yield Finding(
        "ok", "cinedex", f"{__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    yield from packages()
    yield sqlite()
    answers = {name: _answer(child) for name, child in asked.items()}
    for name, judge in JUDGES.items():
        held = answers[name]
        yield from [Finding("wrong", name, held)] if isinstance(held, str) else judge(held)
    yield from search(answers["torch"])
    yield from weights(answers["hub"], network=network)
    yield from data_folder(data)
    yield from file_system(data)


# --- what is installed -------------------------------------------------------------------------------


def packages() -> Iterator[Finding]:
    """Every package this one asks for, and that exactly one of them brings FAISS."""
    try:
        required = metadata.requires("cinedex") or []
    except metadata.PackageNotFoundError:
        yield Finding("note", "packages", "cinedex itself is not installed, only run from its folder.")
        return
    names = sorted({_name(line) for line in required if "extra ==" not in line})
    versions = {name: _version(name) for name in names}
    missing = [name for name in names if versions[name] is None and name != "faiss-cpu"]
    yield Finding("ok", "packages", ", ".join(f"{name} {v}" for name, v in versions.items() if v))
    for name in missing:
        yield Finding("wrong", "packages", f"{name} is not installed; pip install cinedex brings it.")
    yield from faiss_packages({d.metadata["Name"] or "" for d in metadata.distributions()})


def faiss_packages(installed: set[str]) -> Iterator[Finding]:
    """Two distributions overwrite each other's files, and pip says nothing."""
    builds = sorted(name for name in installed if name.lower().startswith("faiss"))
    if len(builds) > 1:
        both = " and ".join(builds)
        yield Finding(
            "wrong", "faiss", f"{both} overwrite each other; uninstall all of them, then install one."
        )


def sqlite(create: str = "CREATE VIRTUAL TABLE words USING fts5(tokens)") -> Finding:
    """Whether Python's own SQLite can search by words."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(create)
    except sqlite3.Error as error:
        return Finding("wrong", "sqlite", f"search by words needs a Python whose sqlite3 has FTS5: {error}.")
    return Finding("ok", "sqlite", f"{sqlite3.sqlite_version} (FTS5)")


def _name(requirement: str) -> str:
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), len(requirement))
    return requirement[:end]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


PROBES = {
    "torch": """
import torch
cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
held = {"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads(),
        "cards": [f"{c.name} ({c.total_memory >> 30} GiB, sm_{c.major}{c.minor})" for c in cards],
        "mps": torch.backends.mps.is_available()}
import torchvision
held["torchvision"] = torchvision.__version__
""",
    "faiss": """
import faiss
held = {"version": faiss.__version__, "options": faiss.get_compile_options().strip(),
        "gpu": hasattr(faiss, "StandardGpuResources"), "cards": faiss.get_num_gpus()}
""",
    "av": """
import av, av.codec, sys
def decodes(name):
    try:
        return bool(av.codec.Codec(name, "r"))
    except ValueError:
        return False
held = {"version": av.__version__, "ffmpeg": av.ffmpeg_version_info,
        "decoders": [name for name in sys.argv[1:] if decodes(name)]}
""",
    "encoders": """
from extractor.encoders import families
held = families()
""",
    "hub": """
from huggingface_hub import constants
held = {"cache": constants.HF_HUB_CACHE, "endpoint": constants.ENDPOINT, "offline": constants.HF_HUB_OFFLINE}
""",
}
_SEARCH = """
from index import exact_gpu, faiss_gpu
held = {"torch": exact_gpu.trouble(), "faiss": faiss_gpu.trouble()}
"""
_AROUND = """
import json, sys
{code}
sys.stdout.write(json.dumps(held))
"""


def _ask(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _AROUND.replace("{code}", code), *DECODERS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _answer(child: subprocess.Popen[str]) -> dict[str, Any] | str:
    """What it found, or why it does not work."""
    out, complaint = child.communicate()
    if child.returncode:
        last = complaint.strip().splitlines()[-1:] or [f"it ended with {child.returncode}"]
        return f"cannot be used: {last[0]}"
    held: dict[str, Any] = json.loads(out)
    return held


def torch_found(held: dict[str, Any]) -> Iterator[Finding]:
    """Devices, and whether torch and torchvision are of one build."""
    pair = f"torch {held['version']} and torchvision {held['torchvision']}"
    if held["version"].partition("+")[2] == held["torchvision"].partition("+")[2]:
        yield Finding("ok", "torch", pair)
    else:
        yield Finding("wrong", "torch", f"{pair} are of two builds; install both from one place.")
    cards = held["cards"] or (["Apple GPU (mps)"] if held["mps"] else [])
    yield Finding("ok", "devices", ", ".join(["cpu", *cards]))
    if not cards and Path("/proc/driver/nvidia/version").exists():
        why = "its driver is too old for it" if held["cuda"] else "this torch is built for the CPU only"
        yield Finding("wrong", "devices", f"There is an NVIDIA card that torch does not see: {why}.")


def faiss_found(held: dict[str, Any]) -> Iterator[Finding]:
    """The build of FAISS."""
    build = f"GPU, sees {held['cards']}" if held["gpu"] else "CPU"
    yield Finding("ok", "faiss", f"{held['version']} ({build}; {held['options']})")


def search(torch: dict[str, Any] | str) -> Iterator[Finding]:
    """Where there is a card, what it can do is tried; nothing else is worth to import it all once more."""
    if isinstance(torch, str) or not torch["cards"]:
        yield from search_found({"torch": "torch sees no GPU", "faiss": ""})
        return
    held = _answer(_ask(_SEARCH))
    yield from [Finding("wrong", "search", held)] if isinstance(held, str) else search_found(held)


def search_found(held: dict[str, str]) -> Iterator[Finding]:
    """What `--device cuda` of `serve`, `search` and `index build` computes with, and why."""
    if held["torch"]:
        yield Finding("note", "search", f"Only on the processor: {held['torch']}.")
        return
    yield Finding(
        "ok", "search", "`--device cuda` searches exactly, by torch: FAISS' GPU code knows no filters."
    )
    builder = f"by torch: {held['faiss']}" if held["faiss"] else "by FAISS' own GPU code"
    yield Finding("ok", "search", f"`index build --device cuda` trains {builder}.")


def av_found(held: dict[str, Any]) -> Iterator[Finding]:
    """Which common codecs can be read."""
    can = [name for name in DECODERS if name in held["decoders"]]
    cannot = [name for name in DECODERS if name not in held["decoders"]]
    yield Finding("ok", "codecs", f"PyAV {held['version']}, FFmpeg {held['ffmpeg']}: reads {', '.join(can)}")
    if cannot:
        state: State = "wrong" if "h264" in cannot else "note"
        yield Finding(state, "codecs", f"This build of FFmpeg cannot read {', '.join(cannot)}.")


def encoders_found(held: dict[str, str]) -> Iterator[Finding]:
    """The families that `--encoder` takes."""
    yield Finding("ok", "encoders", ", ".join(sorted(held)))
    for notice in NOTICES.values():
        yield Finding("note", "encoders", notice)


JUDGES = {
    "torch": torch_found,
    "faiss": faiss_found,
    "av": av_found,
    "encoders": encoders_found,
}


# --- where weights come from -------------------------------------------------------------------------


def weights(hub: dict[str, Any] | str, *, network: bool) -> Iterator[Finding]:
    """The registered ones, those downloaded before, and if asked whether more could be."""
    folder = registry.folder()
    try:
        held = [known.hash for known in registry.all_known()]
    except Error as error:
        yield Finding("wrong", "weights", str(error))
    else:
        is_asked = bool(os.environ.get("CINEDEX_WEIGHTS"))
        state: State = "wrong" if is_asked and not folder.is_dir() else "ok" if held else "note"
        there = f"{len(held)} registered" if folder.is_dir() else "there is no such folder"
        which = "CINEDEX_WEIGHTS is" if is_asked else "Weights are kept in"
        yield Finding(state, "weights", f"{which} {folder}: {there}.")
    if isinstance(hub, str):
        yield Finding("note", "weights", f"The download library {hub}")
        return
    models = len(list(Path(hub["cache"]).glob("models--*")))
    yield Finding("note", "weights", f"{models} downloaded models in {hub['cache']}")
    if hub["offline"]:
        yield Finding("note", "weights", "HF_HUB_OFFLINE is set: nothing is downloaded.")
    elif network:
        yield reachable(hub["endpoint"])


def reachable(endpoint: str) -> Finding:
    """One request to the hub."""
    try:
        httpx.head(endpoint, timeout=10)
    except httpx.HTTPError as error:
        return Finding("wrong", "weights", f"{endpoint} cannot be reached: {error}.")
    return Finding("ok", "weights", f"{endpoint} can be reached.")


# --- the data folder -----------------------------------------------------------------------------------


def data_folder(data: Path) -> Iterator[Finding]:
    """Collections, stores, snapshots, roots."""
    if not _is_there(data):
        yield Finding("note", "data", f"{data} does not exist yet; extract makes it.")
        return
    library = Library(data)
    try:
        with files.reading(data):
            collections, roots = library.collections(), library.roots()
    except Error as error:
        yield Finding("wrong", "data", str(error))
        return
    there = f"{_many(len(collections), 'collection')}, {_many(len(roots), 'root')}"
    yield Finding("ok", "data", f"{data.absolute()}: {there}")
    for name, slugs in collections.items():
        for slug in slugs:
            yield _store(name, library.store_path(slug))
    for name, folder in roots.items():
        if not _is_there(folder):
            yield Finding("note", "roots", f"{name} was last seen at {folder}, which is not there now.")


def _is_there(path: Path) -> bool:
    """Whether it is there or, at least, whether nobody may look."""
    try:
        return path.exists()
    except OSError:
        return True


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _store(collection: str, path: Path) -> Finding:
    try:
        with files.reading(path):
            store = Store.open(path)
            number = None if current(path) is None else Snapshot.open(store).number
            for name in store.log.last().shards():
                store.shard(name).require_readable()
    except Error as error:
        return Finding("wrong", "store", str(error))
    which = "no snapshot is published" if number is None else f"snapshot {number} is published"
    held = f"{collection}: {path.name} ({store.spec.name}), {which}"
    notice = notice_of(store.spec.name)
    return Finding("note", "store", f"{held}. {notice}") if notice else Finding("ok", "store", held)


def file_system(data: Path) -> Iterator[Finding]:
    """What a store needs is tried where it would lie: hard links that fail on a name, and renames."""
    folder = next(parent for parent in (data.absolute(), *data.absolute().parents) if _is_there(parent))
    try:
        with tempfile.TemporaryDirectory(prefix=files.DRAFT, dir=folder) as draft:
            trouble = _try(Path(draft))
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("wrong", "disk", f"{folder} cannot be written: {error.strerror}.")
        return
    except Error as error:
        yield Finding("wrong", "disk", f"{folder} cannot hold a store: {error}")
        return
    if trouble:
        yield Finding("wrong", "disk", f"{folder} cannot hold a store: {trouble}.")
    else:
        yield Finding(
            "ok", "disk", f"{folder} has atomic rename and hard links; {free / 1e9:.0f} GB are free"
        )
    if free < LOW_SPACE_BYTES:
        yield Finding("wrong", "disk", f"{folder} has only {free / 1e6:.0f} MB left.")


def _try(folder: Path) -> str:
    """Why a store cannot lie here, or nothing."""
    if not files.link_new(folder / "a", b"1"):
        return "a hard link to a new name failed"
    if files.link_new(folder / "a", b"2") or (folder / "a").read_bytes() != b"1":
        return "a hard link took a name that was there"
    files.replace_text(folder / "a", "3")
    with files.draft(folder / "b") as draft:
        (draft / "c").write_bytes(b"4")
    return "" if (folder / "b" / "c").exists() else "a renamed folder lost its files"
