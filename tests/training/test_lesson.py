"""What a starter teaches a small CoCa."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from extractor.encoders import load
from tests.training.begun import released
from tests.training.coca_begun import TINY
from training.batches import pictures
from training.coca import Training, prepared, recipe_for
from training.coca_model import Seen, seen
from training.lesson import Lesson, Teacher
from training.model import input_of

SAID = ["a red star", "two small blue rings over grass"]


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("teacher"))


@pytest.fixture
def training(starter: Path, tmp_path: Path) -> Training:
    return prepared(starter, tmp_path, recipe_for(starter, replace(TINY, steps=60, rate=3e-3)))


def test_it_sees_and_says_what_the_starter_does(starter: Path, training: Training) -> None:
    teacher, shown = training.teacher, pictures("train", 0, 0, 8, 64).pictures[:, 0]
    encoder = load(f"open_clip:local-dir:{starter}")
    with torch.inference_mode():
        theirs = encoder.features(torch.from_numpy(shown))
        ours = teacher.sees(input_of(shown, torch.device("cpu")), 4)
        said = F.normalize(teacher.says(training.tokenizer(SAID, TINY.context)), dim=1)
        assert torch.allclose(said, encoder.texts(SAID), atol=1e-4)
    meant = F.normalize(theirs.float(), dim=1).reshape(2, 4, -1).mean(dim=1)
    assert torch.allclose(ours.vectors, meant, atol=1e-4)
    assert ours.early.shape[2:] == (8, 8) and ours.places.shape[2:] == (4, 4)
    assert len(ours.early) == len(ours.places) == 8


def test_a_text_tower_begins_with_the_starters_words_and_layers(training: Training) -> None:
    held, text = training.teacher.clip.state_dict(), training.model.text.state_dict()
    assert torch.equal(text["token_embedding.weight"], held["token_embedding.weight"])
    assert torch.equal(text["positional_embedding"][: TINY.context], held["positional_embedding"])
    layers = [name for name in text if name.startswith("transformer.resblocks.0.")]
    assert layers and all(torch.equal(text[name], held[name]) for name in layers)


def test_a_pupil_comes_to_see_what_its_teacher_sees(training: Training) -> None:
    shown = input_of(pictures("train", 0, 0, 32, 64).pictures[:, 0], torch.device("cpu"))
    right = training.teacher.sees(shown, 1)
    losses = [
        training.state.learn(
            lambda: training.lesson(seen(training.model, shown, 1), right), training.recipe, number
        )
        for number in range(40)
    ]
    assert losses[-1] < 0.7 * losses[0]


def test_only_what_lies_where_it_should_costs_nothing(starter: Path) -> None:
    teacher = Teacher(starter, "cpu")
    right = teacher.sees(input_of(pictures("train", 0, 0, 8, 64).pictures[:, 0], torch.device("cpu")), 1)
    lesson = Lesson(right.early.shape[1], teacher)
    alike = Seen(right.vectors, right.vectors, right.early, right.early)
    turned = Seen(-right.vectors, right.vectors, right.early, right.early)
    with torch.inference_mode():
        assert float(lesson(turned, right) - lesson(alike, right)) == pytest.approx(2.0, abs=1e-3)
