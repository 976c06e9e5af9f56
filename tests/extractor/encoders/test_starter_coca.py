"""`starter-coca`: the code of `videococa` over the folder in the package, captions with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.commands import main
from core.errors import EncoderError, Error
from core.store import Store
from core.types import Sampling
from extractor.captions import captions_of
from extractor.encoders import load, load_again, load_captioner, notice_of, starter
from extractor.encoders.base import EXACT
from extractor.encoders.contract import check, pictures
from extractor.encoders.thresholds import calibration_of
from extractor.encoders.videococa import VideoCoCa
from extractor.work import Writing
from tests.training import begun
from tests.training.coca_begun import released
from training.measures.captions import captioned
from training.measures.sight import Sight

SHIPPED = starter.SHIPPED
SAID = ["a red star", "a small blue ring over grass", "quarterly tax report"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("shipped"))


@pytest.fixture
def shipped(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that has it, of a model that knows nothing."""
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(starter, "SHIPPED", tmp_path / "shipped")
    return Path(shutil.copytree(files, tmp_path / "shipped" / "starter-coca"))


def test_it_keeps_the_contract(shipped: Path) -> None:
    check(lambda: load("starter-coca"))


def test_it_is_the_familys_model_under_its_own_name(shipped: Path) -> None:
    own, plain = load("starter-coca"), load(f"videococa:local-dir:{shipped}")
    assert isinstance(own, VideoCoCa) and isinstance(plain, VideoCoCa) and own.spec.name == "starter-coca"
    assert (own.spec.weights, own.spec.options) == (plain.spec.weights, plain.spec.options)
    assert own.spec.sampling.fps * own.spec.sampling.clip_seconds == 8
    held, index = pictures(own, 8), [np.arange(8), np.arange(3)]
    assert torch.equal(own.clips(own.features(held), index), plain.clips(plain.features(held), index))
    assert torch.equal(own.texts(SAID), plain.texts(SAID))
    for beams in (1, 2):
        found = own.caption(own.tokens(held), index, beams=beams)
        assert found == plain.caption(plain.tokens(held), index, beams=beams) and len(found) == 2
    assert type(load_captioner("starter-coca")) is VideoCoCa


def test_a_clip_is_all_of_its_pictures_tokens_and_not_their_mean(shipped: Path) -> None:
    encoder = load("starter-coca")
    features = encoder.features(pictures(encoder, 8))
    whole, alone = (
        encoder.clips(features, [np.arange(8)]),
        encoder.clips(features, list(np.arange(8)[:, None])),
    )
    assert float(whole.norm()) == pytest.approx(1) and float(alone.mean(dim=0).norm()) < 0.9999
    mean = alone.mean(dim=0) / alone.mean(dim=0).norm()
    assert not torch.allclose(whole[0], mean, atol=1e-5)


def test_a_store_recalls_it_by_its_name(shipped: Path, tmp_path: Path) -> None:
    made = load("starter-coca", look={"scale": "pillow"})
    store = Store.create(tmp_path / "store", made.spec, Sampling())
    assert load_again(Store.open(store.root).spec).spec == made.spec


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        (
            "starter-coca",
            {"weights": Path("x.pt")},
            "starter-coca brings its own weights, but was given x.pt; leave them out, or load a folder of "
            "your own by videococa:local-dir:FOLDER.",
        ),
        ("starter-coca", {"random_weights": 1}, "takes no options, but was given random_weights."),
        ("starter-coca:large", {}, "starter-coca has no variants, but was asked for 'large'; leave it out."),
    ],
)
def test_what_it_does_not_take_is_refused(
    name: str, options: dict[str, Any], says: str, shipped: Path
) -> None:
    with pytest.raises(Error) as caught:
        load(name, **options)
    assert str(caught.value).endswith(says)


def test_files_that_are_not_in_the_package_are_told(shipped: Path) -> None:
    (shipped / "open_clip_config.json").unlink()
    with pytest.raises(EncoderError) as caught:
        load("starter-coca")
    lacking = f"its open_clip_config.json is not in {shipped}"
    assert str(caught.value) == f"starter-coca is not in this installation: {lacking}."


def test_another_model_in_its_folder_is_refused(shipped: Path) -> None:
    path = shipped / "open_clip_config.json"
    config = json.loads(path.read_text())
    del config["model_cfg"]["multimodal_cfg"]
    path.write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="is no CoCa, which videococa needs"):
        load("starter-coca")


def test_extract_writes_captions_and_keeps_thresholds_with_it(shipped: Path, tmp_path: Path) -> None:
    held = {"frame": 0.31, "clip": 0.29}
    (shipped / "thresholds.json").write_text(json.dumps(held))
    films, data = tmp_path / "films", tmp_path / "data"
    assert main(["sample-videos", "--count", "1", "--seconds", "4", "--out", str(films)]) == 0
    asked = ["--encoder", "starter-coca", "--captions", "--workers", "0", "--data", str(data), "--quiet"]
    assert main(["extract", "--videos", str(films), *asked]) == 0
    store = Store.open(data / "starter-coca")
    assert store.calibration == {"thresholds": held} == calibration_of(load("starter-coca"))
    assert store.sampling.fps == 2.0


def test_it_writes_beside_the_starter_which_wants_the_same_pictures(shipped: Path) -> None:
    begun.released(shipped.parent)
    encoder = load("starter")
    found = captions_of(Writing("starter-coca", 1), encoder, "cpu", EXACT)
    assert found is not None and isinstance(found.captioner, VideoCoCa) and found.beams == 1


def test_it_says_what_it_must_not_be_taken_for() -> None:
    assert "know only the rendered world" in (notice_of("starter-coca") or "")


def test_what_ships_keeps_the_contract_and_names_what_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    check(lambda: load("starter-coca"))
    lines = captioned(Sight(load("starter-coca"), "validation", 1, 0.1))
    found = {line.measure: line.figure for line in lines}
    assert found["captions of one thing, colour"] > 0.9
    assert found["captions of one thing, colour and shape"] > 0.6  # of 40; 0.82 of 400
