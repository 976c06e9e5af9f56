"""Which encoder `extract` takes: weights of a file, random ones, profiles; and that all else finds it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.collections import Library
from core.commands import main as cinedex
from core.config import load as settings_of
from core.errors import UsageError
from core.store import Store
from extractor.choose import ExtractSettings
from extractor.cli import main
from extractor.encoders import load_again
from extractor.encoders.auto import PROFILES, chosen
from extractor.encoders.recipe import CONFIG
from server.commands.search import main as search
from tests.extractor.encoders.models import TINY, tiny_state
from tests.extractor.shelf import Shelf, outcome
from tests.server.conftest import Running, start

SAYS_HOW = (
    "run `cinedex download open_clip:PE-Core-B-16/meta` here, "
    "or on another machine and copy its folder of weights to "
)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights."""
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def shelf(tmp_path: Path, videos: Path, weights: Path) -> Shelf:
    """Two short videos."""
    made = Shelf(tmp_path)
    made.put(videos / "short.webm")
    made.put(videos / "late.mp4")
    return made


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A tiny model by the folder of its config, as open_clip saves one; without weights."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / CONFIG).write_text(
        json.dumps({"model_cfg": TINY, "preprocess_cfg": {"interpolation": "bilinear"}})
    )
    return f"open_clip:local-dir:{folder}"


def stores(shelf: Shelf) -> list[str]:
    return Library(shelf.folder / "data").collections()["default"]


def store(shelf: Shelf, slug: str) -> Store:
    return Store.open(shelf.folder / "data" / slug)


def said(shelf: Shelf, capsys: pytest.CaptureFixture[str], *flags: str, code: int = 2) -> str:
    assert main(shelf.flags(*flags)) == code
    told = capsys.readouterr().err
    assert told.startswith("extract: ") and told.count("\n") == 1, told
    return told.removeprefix("extract: ").rstrip()


def found(shelf: Shelf, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    capsys.readouterr()
    assert search(["yellow", "--json", f"--data={shelf.folder / 'data'}", *flags]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.fixture
def serve(shelf: Shelf) -> Any:
    started: list[Running] = []

    def begin() -> Running:
        started.append(start(shelf.folder / "data"))
        return started[-1]

    yield begin
    for running in started:
        assert running.stop() == 0


def test_a_checkpoint_of_ones_own_is_found_again_by_the_hash_of_its_tensors(
    shelf: Shelf, tiny: str, serve: Callable[[], Running], capsys: pytest.CaptureFixture[str]
) -> None:
    state = tiny_state(4)
    torch.save({"state_dict": state}, shelf.folder / "mine.pt")
    save_file(state, shelf.folder / "mine.safetensors")
    own = [f"--encoder={tiny}"]
    assert outcome(shelf.extract(*own, f"--weights={shelf.folder / 'mine.pt'}", "--workers=1")) == {"done": 2}
    (slug,) = stores(shelf)
    hash = store(shelf, slug).spec.weights
    assert slug.endswith(f"-tiny-{hash[:6]}")
    known = json.loads((shelf.folder / "weights" / hash / "about.json").read_text())
    assert (known["source"], known["names"]) == ("mine.pt", [])
    again = shelf.extract(*own, f"--weights={shelf.folder / 'mine.safetensors'}")
    assert outcome(again) == {"already": 2} and stores(shelf) == [slug]
    (shelf.folder / "mine.pt").unlink()
    (shelf.folder / "mine.safetensors").unlink()
    assert cinedex(["index", "build", f"--data={shelf.folder / 'data'}", "--quiet"]) == 0
    answer = found(shelf, capsys)
    assert len(answer["results"]) == 2
    running = serve()
    served = running.search("yellow").json()
    assert served["encoder"] == tiny
    assert [r["score"] for r in served["results"]] == [r["score"] for r in answer["results"]]
    shelf.put(shelf.films / "late.mp4", "more.mp4")
    assert outcome(shelf.extract("--again", f"--store={shelf.folder / 'data' / slug}", f"--encoder={tiny}"))


def test_random_weights_are_in_the_stores_name_and_come_back_from_it_alone(
    shelf: Shelf, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"--encoder={tiny}", "--random-weights=3"]
    shelf.extract(*own)
    (slug,) = stores(shelf)
    assert slug.endswith("-tiny-random-3") and store(shelf, slug).spec.weights == "random:3"
    assert cinedex(["index", "build", f"--data={shelf.folder / 'data'}", "--quiet"]) == 0
    assert len(found(shelf, capsys, f"--encoder={tiny}")["results"]) == 2
    assert outcome(shelf.extract(*own)) == {"already": 2}
    assert cinedex(["verify", f"--data={shelf.folder / 'data'}", "--quiet"]) == 0
    shelf.extract(f"--encoder={tiny}", "--random-weights=4")
    assert [name.rpartition("-")[2] for name in stores(shelf)] == ["3", "4"]
    told = said(shelf, capsys, f"--encoder={tiny}", code=1)  # and not the store with random ones
    assert told.endswith("/tiny holds no open_clip_model.safetensors or open_clip_pytorch_model.bin.")
    path = shelf.folder / "data" / slug
    told = said(shelf, capsys, f"--store={path}", f"--encoder={tiny}", "--random-weights=4", code=1)
    assert told == f"{path} holds vectors of {tiny} with the weights random:3, not random:4."


def test_who_resizes_is_part_of_the_store(
    shelf: Shelf, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"--encoder={tiny}", "--random-weights=3"]
    shelf.extract(*own, "--scale=pillow")
    (slug,) = stores(shelf)
    assert slug.endswith("-random-3-pillow") and store(shelf, slug).spec.look.scale == "pillow"
    assert outcome(shelf.extract(*own, "--scale=torch")) == {"done": 2}
    assert outcome(shelf.extract(*own)) == {"already": 2}
    path = shelf.folder / "data" / slug
    told = said(shelf, capsys, f"--store={path}", *own, "--scale=torch", code=1)
    assert told == f"{path} holds vectors made with --scale pillow, not torch."
    assert outcome(shelf.extract("--again", *own, "--scale=pillow")) == {"done": 2}


def test_how_colours_are_read_is_part_of_the_store_and_remembered_by_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CINEDEX_UNTAGGED_HD", "709")
    shelf.extract("--hdr=tonemap", "--scale=swscale")
    (slug,) = stores(shelf)
    look = {"scale": "swscale", "hdr": "tonemap", "untagged_hd": "709"}
    assert slug == "toy-rgb-swscale-tonemap-709" and store(shelf, slug).spec.look.choices == look
    monkeypatch.delenv("CINEDEX_UNTAGGED_HD")
    line = [f"--data={shelf.folder / 'data'}", f"--videos={shelf.films}", "--workers=0", "--quiet"]
    shelf.put(shelf.films / "late.mp4", "again.mp4")
    assert main(line) == 0 and load_again(store(shelf, slug).spec).spec.look.choices == look
    assert cinedex(["verify", f"--data={shelf.folder / 'data'}", "--quiet"]) == 0
    told = said(shelf, capsys, f"--store={shelf.folder / 'data' / slug}", "--hdr=none", code=1)
    assert told == f"{shelf.folder / 'data' / slug} holds vectors made with --hdr tonemap, not none."
    shelf.extract()
    assert stores(shelf) == [slug, "toy-rgb"]


@pytest.mark.parametrize(
    ("flags", "says", "code"),
    [
        (["--encoder=toy", "--weights=mine.pt"], "--weights is not for toy, which has no weights.", 2),
        (["--encoder=open_clip:x", "--weights=no.pt"], "The weights no.pt do not exist.", 2),
        (
            ["--encoder=open_clip:x", "--weights=a.pt", "--random-weights=1"],
            "--weights and --random-weights ex",
            2,
        ),
        (["--random-weights=-1"], "random-weights: it must be at least 0 (got '-1')", 2),
        (["--scale=nearest"], "scale: it must be 'torch', 'pillow' or 'swscale' (got 'nearest')", 2),
        (
            ["--encoder=auto:best"],
            "--encoder auto:best is no profile; auto, auto:fast, auto:multilingual are.",
            2,
        ),
        (
            ["--encoder=open_clip"],
            "open_clip needs a model and a tag, as in open_clip:PE-Core-B-16/meta; ",
            1,
        ),
        (["--encoder=open_clip:PE-Core-B/meta"], "open_clip has no model 'PE-Core-B'; PE-Core-B-16, ", 1),
        (["--encoder=open_clip:PE-Core-B-16"], "open_clip:PE-Core-B-16 names no weights; add a tag, ", 1),
        (
            ["--encoder=auto", "--device=cpu"],
            "The weights of open_clip:PE-Core-B-16/meta are not on this machine",
            1,
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    shelf: Shelf, flags: list[str], says: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(shelf, capsys, *flags, code=code).startswith(says)


def test_the_folder_of_all_weights_is_not_taken_for_a_checkpoint(weights: Path) -> None:
    assert os.environ["CINEDEX_WEIGHTS"] == str(weights)
    assert settings_of(ExtractSettings, [], prog="extract").weights is None
    asked = settings_of(ExtractSettings, ["--weights", "mine.pt"], prog="extract")
    assert asked.weights == Path("mine.pt")


def test_weights_without_an_encoder_are_refused(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    line = [f"--data={shelf.folder / 'data'}", f"--videos={shelf.films}", "--weights=mine.pt"]
    assert main(line) == 2
    says = "--weights is about an encoder; name it, as in --encoder open_clip:MODEL."
    assert capsys.readouterr().err == f"extract: {says}\n"


def test_without_an_encoder_and_a_store_it_is_auto_by_name_and_never_another_one(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [f"--data={shelf.folder / 'data'}", f"--videos={shelf.films}", "--device=cpu", "--workers=0"]
    assert main(line) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith("auto is encoder=open_clip:PE-Core-B-16/meta")
    assert re.search("store=.*/open-clip-pe-core-b-16-meta encoder=open_clip:PE-Core-B-16/meta$", told[1])
    assert told[2].endswith("licence=Apache-2.0")
    assert f"{SAYS_HOW}{shelf.folder / 'weights'}." in told[3] and "cannot be reached" in told[3]
    assert not list((shelf.folder / "data").glob("open-clip*"))
    shelf.extract()  # toy
    assert main(line) == 0  # and now the collection's first store


def test_a_profile_is_by_device_unless_the_collection_has_one_of_its_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert {name: chosen(f"auto:{name}", "cpu") for name in PROFILES} == {
        name: profile.cpu for name, profile in PROFILES.items()
    }
    large = "open_clip:PE-Core-L-14-336/meta"
    assert chosen("auto", "cpu", ["toy:rgb", large]) == large
    monkeypatch.setattr("extractor.encoders.auto.gpu_count", lambda: 1)
    assert chosen("auto", "auto") == large
    assert chosen("auto:multilingual", "auto") == "open_clip:ViT-SO400M-16-SigLIP2-384/webli"
    with pytest.raises(UsageError):
        chosen("auto:", "cuda:77")


def test_texts_that_are_cut_are_told_once_with_an_example(
    shelf: Shelf, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = shelf.folder / "texts.txt"
    texts.write_text("red\n" + "".join(f"{word} {'and so on ' * 9}\n" for word in ("green", "blue")))
    flags = shelf.flags(f"--encoder={tiny}", "--random-weights=3", f"--texts={texts}")
    assert main([flag for flag in flags if flag != "--quiet"]) == 0
    told = capsys.readouterr().err
    assert told.count("cut count=2 example='green and so on and") == 1
    assert shelf.report()["cut_texts"] == 2
    assert cinedex(["index", "build", f"--data={shelf.folder / 'data'}", "--quiet"]) == 0
    for words, warnings in (("red", 0), ("red " * 30, 1)):
        assert search([words, "--target=texts", f"--data={shelf.folder / 'data'}"]) == 0
        assert capsys.readouterr().err.count("longer than the encoder reads") == warnings


def test_weights_that_are_gone_are_missed_until_they_are_given_again(
    shelf: Shelf, tiny: str, weights: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shelf.folder / "mine.pt"
    torch.save(tiny_state(4), file)
    own = [f"--encoder={tiny}", f"--weights={file}"]
    shelf.extract(*own)
    shutil.rmtree(weights)
    shelf.put(videos / "red.mp4")
    line = [f"--data={shelf.folder / 'data'}", f"--videos={shelf.films}", "--workers=0", "--quiet"]
    assert main(line) == 1
    assert "holds no open_clip_model.safetensors" in capsys.readouterr().err
    assert outcome(shelf.extract(*own)) == {"already": 2, "done": 1}
    assert main(line) == 0
