"""The trainer: what it shows is what the recipe says, and cut off it goes on as if it had not been."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.errors import UsageError
from extractor.encoders import devices
from extractor.encoders.hub import SAFE
from extractor.encoders.weights import hash_of
from extractor.world.query import satisfies
from extractor.world.render import render
from tests.training.begun import TINY as TINY_BEGUN
from tests.training.begun import released
from training import starter
from training.batches import grouped
from training.coded import coded_pictures
from training.gallery import HARD
from training.loop import step
from training.model import contrast, input_of, last_words, make, texts
from training.recipe import Recipe
from training.release import release
from training.starter import batch as shown_at
from training.starter import prepared, probe, train
from training.vocabulary import write_vocabulary

TINY = Recipe(steps=8, batch=16, width=8, dim=64, text_layers=1, coded_share=0.25, warm_share=0.4)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return prepared(folder, TINY).state.mean


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = prepared(tmp_path / "whole", TINY)
    for number in range(6):
        step(whole, number)
    for number in range(6):  # in pieces of one step
        piece = prepared(tmp_path / "pieces", TINY)
        assert piece.state.step == number
        step(piece, number)
        piece.state.save(tmp_path / "pieces", TINY)
    found = weights(tmp_path / "pieces")
    for name, value in whole.state.mean.items():
        assert torch.allclose(value.float(), found[name].float(), atol=1e-4), name


def test_another_recipe_does_not_go_on_with_it(tmp_path: Path) -> None:
    begun = prepared(tmp_path, TINY)
    begun.state.save(tmp_path, TINY)
    with pytest.raises(UsageError, match="another recipe"):
        prepared(tmp_path, Recipe(steps=9, batch=16, width=8, dim=64, text_layers=1))


def test_it_stops_when_its_time_is_over_and_keeps_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, TINY, for_seconds=0.0)
    assert prepared(tmp_path, TINY).state.step == 0
    assert capsys.readouterr().out == ""


def test_a_probe_tells_what_heads_know_until_texts_have_their_turn(tmp_path: Path) -> None:
    training = prepared(tmp_path, TINY)
    before = probe(training)
    assert before.keys() == {"head_shape", "head_colour", "head_count", "place_shape"}
    training.state.step = 4
    after = probe(training)
    assert "text_to_frame_r1" in after
    assert all(0 <= share <= 1 for name, share in (before | after).items() if name != "place_r2")


def test_texts_come_when_the_warm_up_is_over_and_groups_with_them(tmp_path: Path) -> None:
    training = prepared(tmp_path, TINY)
    assert [TINY.has_texts(number) for number in range(8)] == [False] * 4 + [True] * 4
    warm = [training.batch(number) for number in range(4, 30)]
    assert {max(batch.groups) >= 0 for batch in warm} == {True, False}
    assert all(max(training.batch(number).groups) < 0 for number in range(3))
    assert {batch.pictures.shape[1] for batch in warm} == {1}


def test_our_texts_are_open_clips_texts(tmp_path: Path) -> None:
    training = prepared(tmp_path, TINY)
    tokens = training.tokenizer(["a red star", "a small blue ring goes left over grass"], TINY.context)
    with torch.inference_mode():
        ours, theirs = texts(training.model, tokens), training.model.encode_text(tokens)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_loss_within_groups_does_not_look_beyond_them() -> None:
    vectors = torch.eye(4, 8)
    alike = vectors[[1, 0, 3, 2]]  # wrong within a group
    apart = vectors[[2, 3, 0, 1]]  # right, as far as groups go: all within one are equal
    scale = torch.tensor(3.0)
    assert contrast(vectors, alike, scale, [0, 0, 1, 1], 0.0) > 10
    assert float(contrast(vectors, apart, scale, [0, 0, 1, 1], 0.0)) == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize("number", [0, 1])
def test_coded_pictures_are_those_of_their_scenes(number: int) -> None:
    batch = coded_pictures("train", 0, number, 48, 64)
    assert batch.pictures.shape == (48, 1, 64, 64, 3)
    assert len(batch.captions) == len(batch.claims) == len(batch.scenes) == 48
    assert all(satisfies(scene, query) for scene, query in zip(batch.scenes, batch.claims, strict=True))
    meant = np.stack([render(scene, [0.5], 64)[0] for scene in batch.scenes]).astype(int)
    away = np.abs(batch.pictures[:, 0].astype(int) - meant)
    cells = away.reshape(48, 8, 8, 8, 8, 3).mean(axis=(2, 4, 5))  # of 8 × 8 pixels, as the codec cuts them
    assert cells.max() < 30


def test_the_rate_rises_falls_and_ends_low_and_once_more_for_bindings() -> None:
    recipe = Recipe(bound_share=0.25)
    rates = [recipe.rate_at(step) for step in range(recipe.steps)]
    first, second = rates[:4_500], rates[4_500:]
    assert [recipe.is_bound(step) for step in (4_499, 4_500)] == [False, True]
    for wave in (first, second):
        assert wave[0] < wave[59] and max(wave) == pytest.approx(recipe.rate, rel=0.01)
        assert wave[-1] < recipe.rate / 1000 and min(wave) > 0
    assert not any(Recipe().is_bound(step) for step in range(recipe.steps))


def test_bindings_have_their_turn_at_the_end(tmp_path: Path) -> None:
    recipe = replace(TINY, grouped_share=1.0, coded_share=0.0, bound_share=0.5)
    training = prepared(tmp_path, recipe)
    for number, learns in ((0, False), (3, False), (4, True)):
        training.heads.zero_grad()
        training.loss(training.batch(number), number).backward()  # type: ignore[no-untyped-call]
        assert (training.heads.bound.whose.weight.grad is not None) == learns
        assert (training.heads.bound.where.weight.grad is not None) == learns


def test_sentences_alone_teach_the_text_tower_and_no_other(tmp_path: Path) -> None:
    training = prepared(tmp_path, replace(TINY, sentences=32))
    training.spoken(4).backward()  # type: ignore[no-untyped-call]
    seen = {name for name, value in training.model.named_parameters() if value.grad is not None}
    assert "text_projection" in seen and not any(name.startswith("visual.") for name in seen)
    assert not torch.equal(training.spoken(4).detach(), training.spoken(5).detach())


def test_the_words_before_the_end_are_what_a_shorter_text_would_be(tmp_path: Path) -> None:
    training = prepared(tmp_path, TINY)
    tokens = training.tokens(["a red star", "a small blue ring goes left over grass"])
    found = last_words(training.model, tokens, 3)
    assert found.shape == (2, 3, 64) and torch.allclose(found[:, 0], texts(training.model, tokens), atol=1e-5)
    for row, text in enumerate(tokens):
        cut = text[: int(text.argmax())]
        alone = torch.nn.functional.pad(cut, (0, len(text) - len(cut)))
        mine = training.model.transformer(
            training.model.token_embedding(alone[None]) + training.model.positional_embedding,
            attn_mask=training.model.attn_mask,
        )[0, len(cut) - 1]
        assert torch.allclose(
            found[row, 1], training.model.ln_final(mine) @ training.model.text_projection, atol=1e-5
        )


def test_a_training_goes_on_from_what_was_released(tmp_path: Path) -> None:
    whole = replace(TINY, steps=4, warm_share=0.5)
    shipped = released(tmp_path / "first", recipe=whole)
    was = load_file(shipped / SAFE)
    recipe = replace(whole, warm_share=0.0, bound_share=1.0, after=hash_of(shipped / SAFE))
    later = prepared(tmp_path / "later", recipe, after=shipped)
    assert all(
        torch.equal(value.to(was[name].dtype), was[name]) for name, value in later.model.state_dict().items()
    )
    assert all(recipe.has_texts(number) and recipe.is_bound(number) for number in range(recipe.steps))
    step(later, 0)
    assert not torch.equal(later.model.text_projection.half(), was["text_projection"])


def test_texts_go_on_alone_over_pictures_that_stay_as_they_are(tmp_path: Path) -> None:
    shipped = released(tmp_path / "first")
    was = load_file(shipped / SAFE)
    recipe = replace(TINY_BEGUN, steps=2, warm_share=0.0, bound_share=1.0, clips_share=0.5)
    train(tmp_path / "later", replace(recipe, after=hash_of(shipped / SAFE)), float("inf"), after=shipped)
    release(tmp_path / "later", tmp_path / "released")
    now = load_file(tmp_path / "released" / SAFE)
    changed = {name for name, value in now.items() if not torch.equal(value, was[name])}
    assert "text_projection" in changed and not any(name.startswith("visual.") for name in changed)


def test_clips_are_among_what_texts_alone_are_taught_by(tmp_path: Path) -> None:
    recipe = replace(TINY, warm_share=0.0, bound_share=1.0, clips_share=0.5, clip_pictures=3)
    shown = [shown_at(recipe, number) for number in range(12)]
    assert {each.pictures.shape[1] for each in shown} == {1, 3}
    moving = next(each for each in shown if each.pictures.shape[1] == 3)
    assert any(thing.motion for claim in moving.claims for thing in claim.things)
    training = prepared(tmp_path, recipe)
    training.model.visual.eval()
    vectors, _ = training.kept(moving)
    with torch.inference_mode():
        for row, clip in zip(vectors, moving.pictures, strict=True):
            each = training.model.encode_image(input_of(clip, torch.device("cpu")))
            mean = torch.nn.functional.normalize(each, dim=1).mean(dim=0)
            assert torch.allclose(row, mean, atol=1e-5)


def test_texts_alone_need_pictures_that_are_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        starter.main(["--out", str(tmp_path / "other"), "--texts-only"])
    assert "say which one, with --after" in capsys.readouterr().err and not (tmp_path / "other").exists()


def test_weights_of_another_vocabulary_or_size_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = released(tmp_path)
    with pytest.raises(SystemExit):
        starter.main(["--out", str(tmp_path / "other"), "--after", str(shipped)])
    assert "does not fit" in capsys.readouterr().err
    write_vocabulary(shipped / "bpe.txt.gz", ["only", "these"])
    with pytest.raises(SystemExit):
        starter.main(["--out", str(tmp_path / "other"), "--after", str(shipped)])
    assert f"{shipped} has another vocabulary than the world has now" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        starter.main(["--out", str(tmp_path / "other"), "--after", str(tmp_path)])
    assert str(tmp_path) in capsys.readouterr().err


def test_a_model_is_open_clips_own_and_the_same_from_a_seed(tmp_path: Path) -> None:
    config = Recipe().config(1113)
    one, again = make(config, 3), make(config, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert 4e6 < sum(p.numel() for p in one.parameters()) < 7e6
    assert json.loads(json.dumps(config))["model_cfg"]["text_cfg"]["vocab_size"] == 1113


def test_all_that_a_step_needs_is_where_the_model_is(tmp_path: Path) -> None:
    """The device "meta" has no numbers; tensors that lie elsewhere cannot be mixed with its own."""
    training = prepared(tmp_path, TINY, "meta")
    for number, batch in enumerate((training.batch(0), grouped("train", 0, 0, 64, HARD[:2], 1, 16))):
        loss = training.loss(batch, 4 * number)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.device.type == "meta" and TINY.has_texts(4 * number) == bool(number)
    kept = (*training.state.mean.values(), *training.state.model.parameters())
    assert {value.device.type for value in kept} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_training_goes_on_with_or_without_a_gpu(tmp_path: Path) -> None:
    for number, device in enumerate(("cuda", "cpu", "cuda")):
        training = prepared(tmp_path, TINY, device)
        assert training.state.step == number and step(training, number) > 0
        training.state.save(tmp_path, TINY)
    assert probe(training)


@pytest.mark.parametrize(
    ("flags", "meant"),
    [([], "cuda"), (["--device", "cpu"], "cpu"), (["--device", "cuda:1"], "cuda:1"), (["--device", "x"], "")],
)
def test_the_device_that_is_asked_for_is_used(
    flags: list[str],
    meant: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    used: list[object] = []
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    monkeypatch.setattr(starter, "train", lambda *given: used.append(given[3]))
    if meant:
        assert starter.main(["--out", str(tmp_path), *flags]) == 0 and used == [meant]
    else:
        with pytest.raises(SystemExit):
            starter.main(["--out", str(tmp_path), *flags])
        assert "device 'x' is unknown" in capsys.readouterr().err and not used


@pytest.mark.slow
def test_three_minutes_of_training_teach_colours(tmp_path: Path) -> None:
    """So many steps take one core about so long: of the warm-up, by the recipe that ships."""
    recipe = Recipe(steps=160, warm_share=2.0)  # texts would come later than the last step
    train(tmp_path, recipe, for_seconds=float("inf"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 8 and losses[-1] < 0.6 * losses[0]
    assert probe(prepared(tmp_path, recipe))["head_colour"] > 0.5  # of twelve colours
