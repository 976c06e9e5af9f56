"""What is off, missing or unknown is told, and is the exit code."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.golden import misc, runner
from tests.golden.__main__ import main
from tests.golden.recipe import Array, Manifest
from tests.golden.runner import HOLDS, NOT_CHECKED, OFF, USAGE, check_folder, off_by

DATA = Path(__file__).parent / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder within a folder, with the golden `misc`."""
    made = tmp_path / "goldens" / "more"
    made.mkdir(parents=True)
    for name in ("misc.json", "misc.npz"):
        shutil.copy(DATA / name, made)
    return made


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    held = json.loads((folder / "misc.json").read_text())
    change(held)
    (folder / "misc.json").write_text(json.dumps(held))


def told(folder: Path) -> tuple[int, str]:
    lines: list[str] = []
    return check_folder(folder, lines.append), "\n".join(lines)


def test_every_array_is_told_with_how_far_it_is_off(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder.parent)]) == HOLDS
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "misc" and lines[1].split() == ["image0_cropped_u8", "0.0e+00"]
    assert lines[-1].endswith("; none off by more than 0.0001.")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda held: held["metrics"]["t2v"].update(R1=22.6), "t2v.R1 4.4e-03 OFF"),
        (lambda held: held["metrics"]["t2v"].update(R1=22.5 * (1 + 0.9e-4)), "t2v.R1 9.0e-05"),
        (lambda held: held["metrics"]["t2v"].update(R1=22.5 * (1 + 1.1e-4)), "t2v.R1 1.1e-04 OFF"),
        (lambda held: held["metrics"]["t2v"].update(R7=1.0), "t2v.R7 OFF: was not computed"),
        (lambda held: held["frame_choice"][8].update(indices=[0] * 12), "frames_25_every_1_most_12 inf OFF"),
        (
            lambda held: held["frame_choice"][8].update(indices=[0]),
            "frames_25_every_1_most_12 OFF: is [12], not [1]",
        ),
    ],
)
def test_an_array_that_is_off_fails_and_is_named(
    folder: Path, change: Callable[[dict[str, Any]], object], line: str
) -> None:
    changed(folder, change)
    code, said = told(folder)
    assert line in [" ".join(each.split()) for each in said.splitlines()]
    assert code == (OFF if "OFF" in line else HOLDS)


def test_what_is_no_array_of_a_golden_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = misc.outputs
    monkeypatch.setattr(misc, "outputs", lambda *given: ours(*given) | {"more": np.zeros(1)})
    code, said = told(folder)
    assert code == OFF and "OFF: is no array of this golden" in said


def test_what_is_left_out_is_counted_and_what_extraction_makes_stands_beside_and_is_held_to_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unheld(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
        return {name: expected[name] * 1.01 for name in ("image0_normalised_part", "t2v.R1")}

    monkeypatch.setattr(misc, "unheld", unheld, raising=False)
    monkeypatch.setattr(misc, "left_out", lambda manifest: {"t2v.R1": "a reason"}, raising=False)
    code, said = told(folder)
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert code == HOLDS and lines[-1].endswith("; 2 arrays left out.")
    assert "t2v.R1 left out: a reason" in lines and "t2v.R1 not held; as extraction makes it 1.0e-02" in lines
    held = r"image0_normalised_part \d\.\de[+-]\d\d; as extraction makes it 1\.0e-02"
    assert any(re.fullmatch(held, line) for line in lines)


def test_a_family_that_fails_is_told_and_the_next_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> dict[str, Array]:
        raise ZeroDivisionError("of ours")

    shutil.copy(DATA / "tokenizers.json", folder)
    monkeypatch.setattr(misc, "outputs", fails)
    monkeypatch.delenv("REQUIRE_VOCAB", raising=False)
    code, said = told(folder)
    assert code == OFF and "ZeroDivisionError: of ours" in said and "clip_77" in said


def test_what_cannot_be_checked_is_told_and_is_a_code_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.json").write_text('{"name": "somebody_elses"}')
    (folder / "b.json").write_text("{")
    (folder / "c.json").write_text("[1]")
    monkeypatch.setitem(runner.FAMILIES, "later", "later")
    (folder / "d.json").write_text('{"name": "later_tiny"}')
    code, said = told(folder)
    assert code == NOT_CHECKED and said.endswith("; 4 goldens not checked.")
    assert "somebody_elses: not checked: no family is known for it" in said
    assert f"b: not checked: {folder / 'b.json'} is no manifest" in said
    assert "later_tiny: not checked: there is no tests/golden/later.py yet" in said
    changed(folder, lambda held: held["metrics"]["t2v"].update(R1=1.0))
    assert told(folder)[0] == OFF


def test_a_manifest_without_its_arrays_fails(folder: Path) -> None:
    (folder / "misc.npz").unlink()
    code, said = told(folder)
    assert code == OFF and "sim_square_ties_used" in said


def test_a_folder_without_goldens_and_no_folder_are_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == USAGE
    assert main([str(tmp_path / "nowhere")]) == USAGE
    said = capsys.readouterr()
    assert said.out == f"{tmp_path} holds no manifests, NAME.json.\n"
    assert said.err == f"{tmp_path / 'nowhere'} is no folder.\n"


def test_without_the_vocabulary_one_line_says_so_and_under_require_vocab_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(DATA / "tokenizers.json", tmp_path)
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("CINEDEX_VOCAB", raising=False)
    monkeypatch.delenv("REQUIRE_VOCAB", raising=False)
    code, said = told(tmp_path)
    assert code == HOLDS and said.count("BERT's vocabulary is not on this machine") == 1
    assert re.search(r"; none off by more than 0\.0001; [1-9]\d* arrays left out\.$", said)
    monkeypatch.setenv("REQUIRE_VOCAB", "1")
    code, said = told(tmp_path)
    assert code == OFF and "OFF: BERT's vocabulary is not on this machine" in said


@pytest.mark.parametrize(
    ("ours", "expected", "off"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([1, 2], [1, 2], 0.0),
        ([50_000, 2], [50_000, 1], float("inf")),
        ([0.0], [0.0], 0.0),
        ([1e-30], [0.0], float("inf")),
        ([float("nan")], [1.0], float("inf")),
        ([], [], 0.0),
    ],
)
def test_off_is_the_largest_difference_over_the_largest_value(
    ours: list[float], expected: list[float], off: float
) -> None:
    assert off_by(np.array(ours), np.array(expected)) == pytest.approx(off)
