"""The table: all of it for an encoder that knows colours, and what it says of bars."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from safetensors.torch import save_file

from extractor.encoders import load
from training.measure import as_json, main, report
from training.measures.line import Bar, Line
from training.measures.sight import Sight
from training.measures.table import TABLE
from training.recipe import Recipe
from training.starter import prepared

SMALL = ["--size", "0.01", "--seed", "3"]


@pytest.fixture(scope="module")
def of_toy() -> dict[str, Line]:
    """Each line of the whole table, by its measure."""
    sight = Sight(load("toy:rgb"), "test", 3, 0.01)
    return {line.measure: line for name in TABLE for line in TABLE[name](sight)}


def test_every_line_of_the_table_is_there_once(of_toy: dict[str, Line]) -> None:
    assert len(of_toy) >= 35
    for line in of_toy.values():
        assert math.isfinite(line.figure) and line.of > 0, line
    for part in (
        "text → frame, R@1",
        "text → clip, R@10",
        "hard gallery, relation",
        "16 motions",
        "reversal",
    ):
        assert any(part in measure for measure in of_toy), part


def test_what_knows_colours_and_nothing_else_shows_just_that(of_toy: dict[str, Line]) -> None:
    assert of_toy["hard gallery, colour, R@1"].figure > 0.6
    assert of_toy["zero-shot shape, medium and large"].figure == 0
    assert of_toy["reversal, mean of frames"].figure == of_toy["reversal, clips"].figure == 0.5
    assert of_toy["hard gallery, count, R@1"].figure <= 0.25


def test_what_does_not_apply_is_measured_held_to_no_bar_and_said(of_toy: dict[str, Line]) -> None:
    for name in ("16 motions", "hard gallery, direction, R@1", "text → clip, R@1", "reversal, clips"):
        assert of_toy[name].verdict == "no bar" and "order of pictures" in of_toy[name].note
    for name in ("text → frame, R@1", "hard gallery, shape, R@1", "films of 40 shots, moment first"):
        assert of_toy[name].verdict != "no bar" and not of_toy[name].note


@pytest.mark.parametrize(
    ("bar", "figure", "verdict", "said"),
    [
        (Bar(0.9), 0.9, "pass", "≥ 0.9"),
        (Bar(0.9), 0.8999, "miss", "≥ 0.9"),
        (Bar(0.45, 0.55), 0.56, "miss", "0.45–0.55"),
        (Bar(0.45, 0.55), 0.5, "pass", "0.45–0.55"),
        (None, 0.5, "no bar", "None"),
    ],
)
def test_a_figure_is_held_to_its_bar(bar: Bar | None, figure: float, verdict: str, said: str) -> None:
    assert Line("a measure", figure, 10, bar).verdict == verdict and str(bar) == said


def test_both_forms_say_the_same() -> None:
    facts = {"encoder": "toy:rgb", "seed": 3}
    lines = [
        Line("one", 0.5, 10, Bar(0.4), "a note"),
        Line("two", 0.25, 8),
        Line("three", 0.5, 4, Bar(0.4, 0.6)),
    ]
    assert report(facts, lines).splitlines() == [
        "encoder=toy:rgb seed=3",
        "pass          0.5  ≥ 0.4       one (of 10): a note",
        "no bar       0.25              two (of 8)",
        "pass          0.5  0.4–0.6     three (of 4)",
    ]
    held = json.loads(as_json(facts, lines))
    assert [each["bar"] for each in held["lines"]] == [[0.4, None], None, [0.4, 0.6]]
    assert [each["verdict"] for each in held["lines"]] == ["pass", "no bar", "pass"]
    assert held["seed"] == 3 and held["lines"][0]["note"] == "a note"


def test_a_model_in_a_folder_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was never trained: all figures are there, and shrunk galleries are held to no bar."""
    training = prepared(tmp_path, Recipe(width=8, dim=64, text_layers=1))
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(tmp_path / "bpe.txt.gz")}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    held = {name: value.contiguous() for name, value in training.model.state_dict().items()}
    save_file(held, tmp_path / "open_clip_model.safetensors")
    asked = ["--encoder", f"open_clip:local-dir:{tmp_path}", *SMALL, "--only", "zero-shot", "speed", "--json"]
    assert main(asked) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["weights"] and found["precision"] in ("fp32", "bf16") and found["size"] == 0.01
    measures = [line["measure"] for line in found["lines"]]
    assert measures[0] == "zero-shot colour" and measures[-1] == "pictures a second"
    assert {line["verdict"] for line in found["lines"]} == {"no bar"}
    assert [line.partition(" ")[0] for line in said.err.splitlines()] == ["zero-shot", "speed"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--encoder", "nothing"], "There is no encoder family 'nothing'"),
        (["--encoder", "toy:rgb", "--size", "2"], "--size 2.0 must be above 0 and at most 1."),
        (["--encoder", "toy:rgb", "--only", "taste"], "invalid choice: 'taste'"),
        (
            ["--encoder", "toy:rgb", "--only", "captions"],
            "toy:rgb writes no captions: there is nothing to measure.",
        ),
        (["--encoder", "toy:rgb", "--split", "train"], "invalid choice: 'train'"),
        (["--encoder", "toy:rgb", "--precision", "bf16"], "--precision bf16 is not for toy"),
        ([], "--encoder"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_sentence(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(flags)
    assert left.value.code == 2 and said in capsys.readouterr().err
