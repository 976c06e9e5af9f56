"""The encoder in the package, loaded as a folder of open_clip's; and what such a folder's files may be."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.commands import main
from core.errors import EncoderError, Error
from core.store import Store
from core.types import Sampling
from extractor import encoders
from extractor.encoders import NOTICES, load, load_again, starter
from extractor.encoders.contract import check, pictures
from extractor.encoders.open_clip import OpenClip
from extractor.encoders.thresholds import calibration_of
from extractor.world.colours import COLOURS
from extractor.world.drawn import scene
from extractor.world.render import render
from extractor.world.scene import still
from index.calibration import Scale
from tests.training.begun import released
from training.thresholds import measured

SHIPPED = starter.SHIPPED
MOST_MB = 30


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("shipped"))


@pytest.fixture
def shipped(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that has them, of a model that knows nothing."""
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(starter, "SHIPPED", tmp_path / "shipped")
    return Path(shutil.copytree(files, tmp_path / "shipped" / "starter"))


def test_it_keeps_the_contract(shipped: Path) -> None:
    check(lambda: load("starter"))


def test_it_is_the_folders_model_under_its_own_name(shipped: Path) -> None:
    own, plain = load("starter"), load(f"open_clip:local-dir:{shipped}")
    assert isinstance(own, OpenClip) and own.spec.name == "starter"
    assert (own.spec.weights, own.spec.options) == (plain.spec.weights, plain.spec.options)
    held, said = pictures(own, 4), ["a red star", "a small blue ring over grass"]
    assert torch.equal(own.features(held), plain.features(held))
    assert torch.equal(own.texts(said), plain.texts(said))


def test_a_store_recalls_it_by_its_name(shipped: Path, tmp_path: Path) -> None:
    made = load("starter", look={"scale": "pillow"})
    store = Store.create(tmp_path / "store", made.spec, Sampling())
    assert load_again(Store.open(store.root).spec).spec == made.spec


def test_it_is_known_without_loading_it_whether_it_is_there(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "__file__", str(tmp_path / "__init__.py"))
    assert encoders.shipped() == ["starter"]
    (shipped / "open_clip_model.safetensors").unlink()
    assert encoders.shipped() == []


def test_a_new_store_of_it_has_clips_as_long_as_a_shot_unless_one_asks_for_others(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, report = tmp_path / "films", tmp_path / "report.json"
    assert main(["sample-videos", "--count", "1", "--seconds", "6", "--out", str(films)]) == 0
    common = ["--videos", str(films), "--encoder", "starter", "--workers", "0", "--report", str(report)]
    own, other = tmp_path / "own", tmp_path / "other"
    assert main(["extract", *common, "--data", str(own)]) == 0
    assert capsys.readouterr().err.count(NOTICES["starter"]) == 1
    held = json.loads(report.read_text())
    assert held["rows"] == {"frame": 12, "clip": 2, "text": 0}
    assert (held["encoder"], held["encoder_notice"]) == ("starter", NOTICES["starter"])
    assert Store.open(own / "starter").sampling == Sampling(fps=2, clip_seconds=4, stride_seconds=2)
    asked = ["--fps", "1", "--clip-seconds", "8"]
    assert main(["extract", *common, *asked, "--data", str(other), "--quiet"]) == 0
    assert Store.open(other / "starter").sampling == Sampling(fps=1, clip_seconds=8, stride_seconds=2)
    assert main(["extract", *common, "--dry-run", "--json", "--data", str(tmp_path / "none")]) == 0
    assert json.loads(capsys.readouterr().out)["encoder_notice"] == NOTICES["starter"]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        (
            "starter",
            {"weights": Path("x.pt")},
            "starter brings its own weights, but was given x.pt; leave them",
        ),
        ("starter", {"random_weights": 1}, "starter takes no options, but was given random_weights."),
        ("starter:large", {}, "starter has no variants, but was asked for 'large'; leave it out."),
    ],
)
def test_what_it_does_not_take_is_refused(
    name: str, options: dict[str, Any], says: str, shipped: Path
) -> None:
    with pytest.raises(Error) as caught:
        load(name, **options)
    assert says in str(caught.value) and str(caught.value).endswith(".")


def test_files_that_are_not_in_the_package_are_told(shipped: Path) -> None:
    (shipped / "open_clip_model.safetensors").unlink()
    with pytest.raises(EncoderError) as caught:
        load("starter")
    lacking = f"its open_clip_model.safetensors is not in {shipped}"
    assert str(caught.value) == f"starter is not in this installation: {lacking}."


def test_weights_are_not_for_it_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "films").mkdir()
    asked = ["--encoder", "starter", "--random-weights", "1", "--data", str(tmp_path / "data")]
    assert main(["extract", "--videos", str(tmp_path / "films"), *asked]) == 2
    assert "--random-weights is not for starter, which brings its own weights." in capsys.readouterr().err


# --- a folder's own vocabulary -----------------------------------------------------------------------


def test_a_folders_vocabulary_is_read_from_the_folder_wherever_one_stands(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    encoder = load(f"open_clip:local-dir:{files}")
    assert isinstance(encoder, OpenClip)
    tokenizer = encoder._tokenizer
    row = tokenizer(["a red star"])[0].tolist()
    start, end = tokenizer.sot_token_id, tokenizer.eot_token_id
    assert (start, end) == (tokenizer.vocab_size - 2, tokenizer.vocab_size - 1) and end < 2000
    assert row[0] == start and row[4] == end and set(row[5:]) == {0}  # the end is the greatest, and pooled
    assert encoder.too_long(["star " * 62, "star " * 63]) == [False, True]
    assert torch.isfinite(encoder.texts(["quarterly tax report", "红色的星"])).all()


def test_another_vocabulary_is_another_encoder(files: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(files, tmp_path / "other")
    lines = gzip.decompress((folder / "bpe.txt.gz").read_bytes()).decode().split("\n")
    lines[5], lines[6] = lines[6], lines[5]
    (folder / "bpe.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    one, other = (load(f"open_clip:local-dir:{each}").spec for each in (files, folder))
    assert one.weights == other.weights and one.options != other.options


def _with_a_line_more(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\n"))


def _no_gzip(path: Path) -> None:
    path.write_bytes(b"red star")


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "bpe.txt.gz cannot be read: No such file or directory."),
        (_no_gzip, "bpe.txt.gz is no vocabulary, or a damaged one: Not a gzipped file (b're')."),
        (_cut_short, "bpe.txt.gz is no vocabulary, or a damaged one: "),
        (_with_a_line_more, " word pieces, and vocab_size is "),
    ],
    ids=["gone", "other", "short", "longer"],
)
def test_a_vocabulary_that_does_not_do_is_told(
    spoil: Callable[[Path], None], says: str, files: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(files, tmp_path / "other")
    spoil(folder / "bpe.txt.gz")
    with pytest.raises(EncoderError) as caught:
        load(f"open_clip:local-dir:{folder}")
    assert says in str(caught.value) and str(caught.value).endswith(".")


# --- thresholds --------------------------------------------------------------------------------------


def test_thresholds_beside_the_weights_come_into_a_new_store(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calibration_of(load("starter")) == calibration_of(load("toy")) == {}
    held = {"frame": 0.31, "clip": 0.29}
    (shipped / "thresholds.json").write_text(json.dumps(held))
    films, data = tmp_path / "films", tmp_path / "data"
    assert main(["sample-videos", "--count", "1", "--seconds", "2", "--out", str(films)]) == 0
    asked = ["--encoder", "starter", "--workers", "0", "--data", str(data), "--quiet"]
    assert main(["extract", "--videos", str(films), *asked]) == 0
    assert Store.open(data / "starter").calibration == {"thresholds": held}


def test_an_encoder_may_say_how_far_its_answers_must_stand_out(shipped: Path) -> None:
    (shipped / "thresholds.json").write_text('{"clip": 0.3, "middle": 3.5}')
    found = calibration_of(load("starter"))
    assert found == {"thresholds": {"clip": 0.3}, "middle": 3.5} and Scale.of(found).middle == 3.5


def test_thresholds_are_of_the_folders_own_weights_alone(shipped: Path) -> None:
    (shipped / "thresholds.json").write_text('{"clip": 0.3}')
    name = f"open_clip:local-dir:{shipped}"
    assert calibration_of(load(name)) == {"thresholds": {"clip": 0.3}}
    assert calibration_of(load(name, random_weights=1)) == {}
    other = Path(shutil.copy(shipped / "open_clip_model.safetensors", shipped.parent / "x.safetensors"))
    assert calibration_of(load(name, weights=other)) == {}


@pytest.mark.parametrize(
    "held",
    ["[]", '{"scene": 0.3}', '{"clip": "high"}', '{"clip": true}', '{"clip": NaN}', '{"middle": 0}'],
)
def test_thresholds_that_are_none_are_refused(held: str, shipped: Path) -> None:
    (shipped / "thresholds.json").write_text(held)
    with pytest.raises(
        EncoderError, match=r"thresholds.json holds .*, not a number for each of frame, clip, "
    ):
        load("starter")


# --- what is in the package --------------------------------------------------------------------------


@pytest.mark.skipif(not SHIPPED.is_dir(), reason="nothing is trained yet")
def test_what_ships_is_at_most_30_mb() -> None:
    sizes = {path: path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()}
    assert sum(sizes.values()) <= MOST_MB * 10**6, sizes


@pytest.mark.skipif(not (SHIPPED / "starter").is_dir(), reason="it is not trained yet")
def test_what_ships_keeps_the_contract_and_tells_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    check(lambda: load("starter"))
    encoder = load("starter")
    assert measured(encoder, 1, 96)["frame"].area > 0.9
    scenes = [still(scene("validation", 1, number, count=1), 0.5) for number in range(100)]
    pixels = np.stack([render(each, [0.5], encoder.spec.look.size)[0] for each in scenes])
    scores = encoder.features(torch.from_numpy(pixels)) @ encoder.texts([f"a {c} shape" for c in COLOURS]).T
    colours = list(COLOURS)
    is_right = [
        colours[best] == each.things[0].colour
        for best, each in zip(scores.argmax(dim=1).tolist(), scenes, strict=True)
    ]
    assert sum(is_right) >= 95
