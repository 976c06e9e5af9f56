"""clip-retrieval's back-end beside ours: its environment, our rows as it reads them, its process."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import save_file

from benchmarks.kept import is_kept, keep
from benchmarks.serve import Server
from core.store import Store
from extractor.encoders.open_clip import model_of
from extractor.encoders.recipe import recipe_of
from index import faissfile
from index.live import LivePart
from index.snapshot import Snapshot

INDEX = "default"  # as our collection is called, so that both are sent the same
Kind = Literal["parquet", "arrow"]
KINDS: tuple[Kind, ...] = ("parquet", "arrow")  # its default, and what is faster
_HERE = Path(__file__).parent
_PINS, _START = _HERE / "rival.txt", _HERE / "rival_start.py"
_SHARED = ("faiss", "numpy", "open_clip", "pyarrow", "torch")
_READY_S = 600


def environment(folder: Path) -> Path:
    """Its Python: made once, with what it has in common with us (torch is 3 GB) taken from where ours is."""
    beside = sorted({str(_origin(name).parents[1]) for name in _SHARED})
    pins = blake2b(_PINS.read_bytes(), digest_size=4).hexdigest()
    made = {"benchmark": "rival", "pins": pins, "python": platform.python_version(), "beside": beside}
    base = {"base": str(folder), "platbase": str(folder)}
    python = Path(sysconfig.get_path("scripts", "venv", base)) / "python"
    if is_kept(folder, made):
        return python
    try:
        venv.create(folder, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
        _run([*pip, "install", "-qq", "--no-deps", "-r", str(_PINS)])
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(f"clip-retrieval cannot be installed here, so nothing is set beside ours: {_reason(error)}")
    site = Path(sysconfig.get_path("purelib", "venv", base))
    (site / "beside.pth").write_text("".join(f"{path}\n" for path in beside))  # behind its own packages
    keep(folder, made)
    return python


def _origin(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    said = str(getattr(error, "stderr", None) or getattr(error, "output", None) or error)
    return said.strip().splitlines()[-1]


def files(folder: Path, store: Store, model: str) -> None:
    """What it reads: our rows, and our random weights."""
    snapshot = Snapshot.open(store)
    (part,) = snapshot.parts
    lists = snapshot.effort("frame").lists if part.about.trained else 0
    made = {"benchmark": "rival", "part": part.about.name, "lists": lists, "model": model}
    if is_kept(folder, made):
        return
    write_rows(folder, snapshot, part, lists)
    save_file(dict(model_of(recipe_of(model), None, 0).module.state_dict()), folder / "model.safetensors")
    keep(folder, made)


def write_rows(folder: Path, snapshot: Snapshot, part: LivePart, lists: int) -> None:
    """Our FAISS file, set to look into as many lists as we do, and a url and a caption for each row, in a
    folder for each way in which it reads these from memory."""
    folder.mkdir()
    index = faissfile.read(snapshot.store.root / "parts" / f"{part.about.name}.faiss", is_mapped=False)
    if lists:
        faissfile.lists_of(index).nprobe = lists
    faissfile.write(index, folder / "image.index")
    table = _metadata(snapshot, part)
    for kind in KINDS:
        (folder / kind / "metadata").mkdir(parents=True)
        (folder / kind / "image.index").symlink_to(Path("..") / "image.index")
    pq.write_table(table, folder / "parquet" / "metadata" / "0.parquet")
    arrow = folder / "arrow" / "metadata" / "0.arrow"
    with pa.OSFile(str(arrow), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _metadata(snapshot: Snapshot, part: LivePart) -> pa.Table:
    """By the place of a row in the index, which is all that it knows rows by."""
    rows = part.part.rows
    names = snapshot.sources.named(part.numbers.astype(np.int64))
    given = [
        (names[run], start)
        for run, start in zip(rows["source"].tolist(), rows["start"].tolist(), strict=True)
    ]
    captions = [caption(name, start) for name, start in given]
    urls = [f"https://example.com/{name}/{start:.0f}.jpg" for name, start in given]
    return pa.table({"url": urls, "caption": captions})


def caption(name: str, start: float) -> str:
    """By which a row is known in both answers."""
    return f"{name}.mp4 at {start:.0f}"


@contextmanager
def answering(python: Path, folder: Path, model: str, kind: Kind) -> Iterator[Server]:
    """One that is ready, with its defaults but for how it reads metadata, and for models that it would
    download and nobody asks for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    folder, own = folder.resolve(), folder.resolve() / kind
    (own / "indices.json").write_text(json.dumps({INDEX: str(own)}))
    given = {
        "indices_paths": str(own / "indices.json"),
        "port": port,
        "use_arrow": kind == "arrow",
        "clip_model": f"open_clip:{model}/{folder / 'model.safetensors'}",
        "enable_mclip_option": False,
        "provide_aesthetic_embeddings": False,
    }
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = own / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [str(python), "-P", str(_START), json.dumps(given)],
            stdout=said,
            stderr=said,
            env={**env, "HF_HUB_OFFLINE": "1"},
        )
    try:
        _wait(process, port, log)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            said = log.read_text().strip().splitlines()
            sys.exit(
                f"clip-retrieval's back-end ended before it answered: {said[-1] if said else 'silently'}"
            )
        try:
            if httpx.get(f"http://127.0.0.1:{port}/indices-list", timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    sys.exit(f"clip-retrieval's back-end did not answer within {_READY_S} s.")
