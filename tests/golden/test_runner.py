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

from tests.golden import misc, recipe, runner
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


def changed_arrays(
    folder: Path, name: str, change: Callable[[dict[str, Any], dict[str, Array]], object]
) -> None:
    """A tiny golden as it would be, had it been made of other inputs."""
    manifest, arrays = recipe.load(DATA / f"{name}.json")
    change(manifest, arrays)
    (folder / f"{name}.json").write_text(json.dumps(manifest))
    np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]  # whose other parameter is a bool


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


def _of_one_video(manifest: Manifest, arrays: dict[str, Array]) -> None:
    for number in (1, 2, 3):
        del manifest["inputs"][f"features{number}"]
    arrays |= {name: arrays[name][:1] for name in ("pooled_video", "vmasks", "video_tokens")}
    arrays["scores_text_by_video"] = arrays["scores_text_by_video"][:, :1]


def _of_fewer_tasks(manifest: Manifest, arrays: dict[str, Array]) -> None:
    del manifest["inputs"]["moment_video3"]
    arrays |= {name: arrays[name][:3] for name in ("didemo_ranking", "didemo_feature_lengths")}
    arrays["mcqa_scores"] = arrays["mcqa_scores"][:3, :4]
    arrays["mcqa_choice"] = arrays["mcqa_scores"].argmax(axis=1)
    manifest["outputs"]["video_targets"]["what"] = "per-second targets for segments (3.2, 9.7, label 2)"
    arrays["video_targets"] = np.where(arrays["video_targets"] == 1, 2, 0)


def _of_swapped_texts(manifest: Manifest, arrays: dict[str, Array]) -> None:
    for name in ("text_ids", "text_embedding_raw", "text_embedding", "similarity"):
        arrays[name] = arrays[name][[1, 0, 2]]
    for name in ("text_tokens", "video0_teacher_logits", "video0_caption_loglik"):
        arrays[name] = arrays[name][::-1]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mmpt_tiny", _of_one_video),
        ("mmpt_tiny_tasks", _of_fewer_tasks),
        ("videococa_tiny", _of_swapped_texts),
    ],
)
def test_a_golden_of_other_inputs_holds_as_well(
    tmp_path: Path, name: str, change: Callable[[dict[str, Any], dict[str, Array]], object]
) -> None:
    for end in (".json", ".npz"):
        shutil.copy(DATA / f"mmpt_tiny{end}", tmp_path)  # whose weights the tasks are of
    changed_arrays(tmp_path, name, change)
    code, said = told(tmp_path)
    assert code == HOLDS, said
    assert len(said.splitlines()) > 10


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


def test_a_vocabulary_that_is_named_must_be_bert_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(DATA / "tokenizers.json", tmp_path)
    monkeypatch.setenv("CINEDEX_VOCAB", "")  # and what the command makes of it is taken back
    monkeypatch.delenv("REQUIRE_VOCAB", raising=False)
    (tmp_path / "wrong.txt").write_text("[PAD]\n")
    for name in ("wrong.txt", "nowhere.txt"):
        assert main([str(tmp_path), f"--vocab={tmp_path / name}"]) == OFF
        said = capsys.readouterr().out
        assert "OFF: " in said and str(tmp_path / name) in said


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
