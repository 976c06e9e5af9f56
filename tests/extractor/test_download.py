"""`cinedex download`: from a hub and from a URL, both of our own; and what offline machines do with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.commands import main as cinedex
from core.errors import EncoderError
from extractor.cli import main
from extractor.encoders import load
from extractor.encoders.recipe import CONFIG, pairs
from tests.extractor.encoders.models import TINY, add_model, tiny_state
from tests.extractor.shelf import Shelf, outcome

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLIP = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize_mode": "shortest"}

# open_clip leaves what it downloaded open, for the garbage collector.
LEAVES_FILES_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class _Hub(SimpleHTTPRequestHandler):
    """Files as the hub gives them: their hash is the ETag."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = Path(str(self.directory)) / self.path.lstrip("/").replace("resolve/main/", "")
        if not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of files, and the folder that they lie in."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Hub, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HOME", str(tmp_path))  # where open_clip puts what it has from a URL
    return tmp_path / "weights"


def published(site: tuple[str, Path], name: str = "mlfoundations/tiny-{}.pt") -> str:
    """The address of a checkpoint whose name holds its hash."""
    url, folder = site
    path = folder / "tiny.pt"
    torch.save(tiny_state(4), path)
    final = folder / name.format(sha256(path.read_bytes()).hexdigest()[:8])
    final.parent.mkdir(exist_ok=True)
    path.rename(final)
    return f"{url}/{final.relative_to(folder)}"


def run(*words: str, code: int = 0, **environment: str) -> str:
    """`cinedex` in a process of its own: the hub's address is read when its library is imported."""
    command = "import sys; from core.commands import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", command, *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == code, ended.stderr
    return ended.stderr if code else ended.stdout


@LEAVES_FILES_OPEN
def test_weights_from_a_url_are_registered_and_found_by_name(
    site: tuple[str, Path],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tag = CLIP | {"url": published(site)}
    add_model(monkeypatch, tmp_path, "tiny", TINY, {"laion_x": tag, "other": tag})
    with pytest.raises(
        EncoderError, match="are not on this machine: run `cinedex download open_clip:tiny/la"
    ):
        load("open_clip:tiny/laion_x")
    assert cinedex(["download", "open_clip:tiny/laion_x"]) == 0
    told = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    held = Path(told["folder"].strip())
    assert held.parent == weights and told["from"].strip() == tag["url"] and told["licence"].strip() == "MIT"
    assert told["bytes"].split()[0] == str((held / "weights.safetensors").stat().st_size)
    shutil.rmtree(tmp_path / ".cache")
    spec = load("open_clip:tiny/laion_x").spec
    assert spec.weights == held.name
    assert cinedex(["download", "open_clip:tiny/laion_x"]) == 0
    with pytest.raises(EncoderError):  # the same tensors, but nobody downloaded them by that name
        load("open_clip:tiny/other")
    assert cinedex(["download", "open_clip:tiny/other"]) == 0
    assert load("open_clip:tiny/other").spec.weights == spec.weights
    assert load("open_clip:tiny/laion_x").spec == spec


@LEAVES_FILES_OPEN
def test_a_download_that_is_not_what_its_hash_says_is_refused(
    site: tuple[str, Path],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = published(site, "mlfoundations/tiny-00000000.pt")
    add_model(monkeypatch, tmp_path, "tiny", TINY, {"x": CLIP | {"url": url}})
    assert cinedex(["download", "open_clip:tiny/x"]) == 1
    assert "checksum" in capsys.readouterr().err.splitlines()[-1]
    assert list((tmp_path / ".cache" / "clip").iterdir())  # it is left there, and not taken for weights
    with pytest.raises(EncoderError, match="are not on this machine"):
        load("open_clip:tiny/x")
    assert not list(weights.glob("*/weights.safetensors"))


@pytest.fixture
def hub(site: tuple[str, Path]) -> str:
    """A hub with one repository: a config and weights."""
    url, folder = site
    repository = folder / "org" / "tiny"
    repository.mkdir(parents=True)
    (repository / CONFIG).write_text(
        json.dumps({"model_cfg": TINY, "preprocess_cfg": CLIP | {"resize_mode": "squash"}})
    )
    save_file(tiny_state(4), repository / "open_clip_model.safetensors")
    return url


def test_a_folder_of_weights_is_all_that_an_offline_machine_needs(
    hub: str, weights: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run("download", "open_clip:hf-hub:org/tiny", HF_ENDPOINT=hub, HF_HOME=str(tmp_path / "hub"))
    assert f"from:     {hub}/org/tiny\n" in told and "licence:  unknown: see the model's page\n" in told
    shelf = Shelf(tmp_path)
    shelf.put(videos / "short.webm")
    own = "--encoder=open_clip:hf-hub:org/tiny"
    assert outcome(shelf.extract(own, "--workers=1")) == {"done": 1}  # the hub of the tests is a closed port
    capsys.readouterr()
    assert main([flag for flag in shelf.flags(own) if flag != "--quiet"]) == 0
    assert "licence=unknown: see the model's page\n" in capsys.readouterr().err
    (known,) = weights.glob("*/about.json")
    assert json.loads(known.read_text())["config"]["model_cfg"] == TINY
    spec = load("open_clip:hf-hub:org/tiny").spec
    assert spec.look.fit == "squash" and spec.weights == known.parent.name
    assert [name for name, _ in spec.options] == ["config"]


def test_what_the_hub_gave_before_is_found_without_it(hub: str, weights: Path, tmp_path: Path) -> None:
    code = (
        "from extractor.encoders import load; load('open_clip:hf-hub:org/tiny', download={}); print('loaded')"
    )
    for may, endpoint in ((True, hub), (False, "http://127.0.0.1:9")):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", code.format(may)],
            cwd=ROOT,
            env=os.environ | {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hub")},
            capture_output=True,
            text=True,
        )
        assert ended.stdout == "loaded\n", ended.stderr
    assert not list(
        weights.glob("*/weights.safetensors")
    )  # what the cache of the hub holds is not held twice


def test_a_repository_that_is_none_is_told(hub: str, weights: Path, tmp_path: Path) -> None:
    told = run(
        "download", "open_clip:hf-hub:org/none", code=1, HF_ENDPOINT=hub, HF_HOME=str(tmp_path / "hub")
    )
    assert told.splitlines()[-1].startswith(
        "cinedex download: The weights of open_clip:hf-hub:org/none are not on this machine, and "
        f"{hub}/org/none does not give open_clip_config.json ("
    )


@pytest.mark.parametrize(
    "encoder", ["auto", "auto:fast", "open_clip:PE-Core-T-16-384/meta", "open_clip:hf-hub:a/b"]
)
def test_without_a_network_it_says_so_at_once(
    encoder: str, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    assert cinedex(["download", encoder, "--device=cpu"]) == 1
    told = capsys.readouterr().err
    assert time.monotonic() - began < 10
    assert (
        told.count("\n") == 1 and "cannot be reached ([Errno 111] Connection refused): run `cinedex d" in told
    )
    assert str(weights) in told


def test_every_pair_is_listed_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cinedex(["download", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(pairs())
    licences = dict(line.split(maxsplit=1) for line in lines)
    assert licences["open_clip:PE-Core-B-16/meta"] == "Apache-2.0"
    assert licences["open_clip:ViT-B-32/laion2b_s34b_b79k"] == "MIT"
    assert licences["open_clip:MobileCLIP2-S0/dfndr2b"] == "Apple, for research only"
    assert licences["open_clip:ViT-H-14-378/dfn5b"] == "Apple, for research only"
    assert licences["open_clip:ViT-H-14-worldwide/metaclip2_worldwide"].startswith("CC-BY-NC")
    assert licences["open_clip:RN50/yfcc15m"] == "unknown: see the model's page"


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        ([], "name an encoder, as in `cinedex download open_clip:PE-Core-B-16/meta`, or --list.", 2),
        (["toy"], "toy has nothing to download; encoders of open_clip, ", 2),
        (["open_clip:ViT-B-32"], "open_clip:ViT-B-32 names no weights to download; name a tag, ", 1),
        (["open_clip:ViT-B-32/nothing"], "open_clip has no ViT-B-32/nothing; ", 1),
    ],
)
def test_what_cannot_be_downloaded_is_told(
    words: list[str], says: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cinedex(["download", *words]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"cinedex download: {says}") and told.count("\n") == 1
