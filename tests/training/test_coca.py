"""The trainer of a small CoCa: it learns what its family computes, and goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from core.errors import UsageError
from extractor.encoders import load
from extractor.encoders.contract import check
from extractor.encoders.decoder import Decoder
from extractor.encoders.videococa import VideoCoCa
from extractor.world.chance import Chance
from extractor.world.claims import full
from extractor.world.drawn import scene
from extractor.world.query import satisfies
from tests.training.begun import released
from tests.training.coca_begun import TINY, begun
from training import coca
from training.coca import CocaRecipe, Training, main, prepared, probe, recipe_for, tells_all
from training.coca_model import caption_loss, seen, texts
from training.coca_probe import encoder_of, probed
from training.loop import step
from training.model import input_of
from training.release import main as release
from training.state import under

SAID = ["a red star", "a small blue ring goes left over grass", ""]


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def trained(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training]:
    folder = tmp_path_factory.mktemp("training")
    return folder, begun(starter, folder)


def mean_encoder(training: Training) -> VideoCoCa:
    config = training.recipe.config(training.tokenizer.vocab_size)
    return encoder_of(config, under(training.state.mean, "clip."), training.tokenizer, "cpu")


# --- it computes what the family computes ------------------------------------------------------------


def test_our_texts_are_open_clips_texts(trained: tuple[Path, Training]) -> None:
    model, tokenizer = trained[1].model, trained[1].tokenizer
    whole = " ".join(["star"] * 80)  # cut: no padding is left behind it
    for said in (SAID, [whole, "a ring"]):
        ids = tokenizer(said, TINY.context)
        with torch.inference_mode():
            (ours, words), (theirs, states) = texts(model, ids), model.text(ids)
        assert torch.allclose(ours, theirs, atol=1e-5)
        assert torch.allclose(words, states[:, : words.shape[1]], atol=1e-5)


@pytest.mark.parametrize("frames", [1, 4])
def test_our_clips_are_the_familys_clips(trained: tuple[Path, Training], frames: int) -> None:
    encoder, pixels = mean_encoder(trained[1]), trained[1].batch(7).pictures.reshape(-1, 64, 64, 3)
    index = list(np.arange(len(pixels)).reshape(-1, frames))
    with torch.inference_mode():
        ours = seen(encoder.module, input_of(pixels, torch.device("cpu")), frames)
        theirs = encoder.clips(encoder.features(torch.from_numpy(pixels)), index)
        tokens = encoder._seen(encoder.tokens(torch.from_numpy(pixels)), index)
    assert torch.allclose(F.normalize(ours.vectors, dim=1), theirs, atol=1e-5)
    assert torch.allclose(ours.tokens, tokens, atol=1e-4)


def test_a_caption_costs_what_the_familys_decoder_finds_unlikely(trained: tuple[Path, Training]) -> None:
    training = trained[1]
    model = training.model
    ids = training.tokenizer(SAID, TINY.context)
    shown = input_of(training.batch(0).pictures[:3, 0], torch.device("cpu"))
    with torch.inference_mode():
        found = seen(model, shown, 1)
        ours = caption_loss(model, found.tokens, texts(model, ids)[1], ids)
        decoder, costs = Decoder(model), list[torch.Tensor]()
        sentences = decoder.begin(found.tokens)
        for place in range(int((ids != 0).sum(dim=1).max()) - 1):
            logits = decoder.step(sentences, ids[:, place : place + 1])[:, 0]
            costs.append(F.cross_entropy(logits, ids[:, place + 1], ignore_index=0, reduction="none"))
    counted = (ids[:, 1:] != 0).sum()
    assert float(ours) == pytest.approx(float(torch.stack(costs).sum() / counted), rel=1e-4)


# --- the training ------------------------------------------------------------------------------------


def test_it_learns(starter: Path, tmp_path: Path) -> None:
    """One batch of clips by heart: their texts, and what is written of them."""
    training = prepared(starter, tmp_path, replace(TINY, steps=40, warm_share=0.0, rate=3e-3))
    batch = next(b for b in map(training.batch, range(99)) if b.pictures.shape[1] == 4 and max(b.groups) < 0)
    losses = [
        training.state.learn(lambda: training.loss(batch, 0), training.recipe, number) for number in range(30)
    ]
    assert losses[-1] < 0.6 * losses[0]


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(starter: Path, tmp_path: Path) -> None:
    whole = prepared(starter, tmp_path / "whole", TINY)
    for number in range(5):
        step(whole, number)
    for number in range(5):  # in pieces of one step
        piece = prepared(starter, tmp_path / "pieces", TINY)
        assert piece.state.step == number
        step(piece, number)
        piece.state.save(tmp_path / "pieces", TINY)
    found = prepared(starter, tmp_path / "pieces", TINY).state.mean
    fresh = prepared(starter, tmp_path / "fresh", TINY).state.mean
    for name, value in whole.state.mean.items():
        assert torch.allclose(value, found[name], atol=1e-4), name
    assert any(not torch.allclose(value, fresh[name], atol=1e-3) for name, value in found.items())


def test_another_recipe_does_not_go_on_with_it(starter: Path, trained: tuple[Path, Training]) -> None:
    with pytest.raises(UsageError, match="another recipe"):
        prepared(starter, trained[0], replace(recipe_for(starter, TINY), captions_weight=2.0))


def test_texts_and_clips_come_when_the_warm_up_is_over(starter: Path, tmp_path: Path) -> None:
    training = prepared(starter, tmp_path, TINY)
    assert [TINY.has_texts(number) for number in range(8)] == [False] * 2 + [True] * 6
    cold, warm = (list(map(training.batch, numbers)) for numbers in (range(2), range(2, 60)))
    assert {batch.pictures.shape[1] for batch in cold} == {1}
    assert {batch.pictures.shape[1] for batch in warm} == {1, 2, 4}
    assert {max(batch.groups) >= 0 for batch in warm} == {True, False}
    for batch in (*cold, *warm):
        clips, frames = batch.pictures.shape[:2]
        assert clips * frames <= TINY.batch or (clips <= 8 and min(batch.groups) == max(batch.groups) == 0)
        assert all(satisfies(scene, query) for scene, query in zip(batch.scenes, batch.claims, strict=True))


def test_only_captions_that_leave_nothing_out_are_learned() -> None:
    chance = Chance("told")
    for number in range(50):
        shown = scene("train", 0, number)
        claim = full(shown, chance)
        assert tells_all(claim, shown)
        for fewer in (replace(claim, ground=""), replace(claim, things=claim.things[1:])):
            assert tells_all(fewer, shown) == (fewer == claim)
        if claim.things:
            first = replace(claim.things[0], colour="")
            assert not tells_all(replace(claim, things=(first, *claim.things[1:])), shown)


def test_long_captions_go_apart_and_come_back_where_they_were(starter: Path, tmp_path: Path) -> None:
    training = prepared(starter, tmp_path, TINY)
    batch = next(b for b in map(training.batch, range(2, 99)) if max(b.groups) < 0 and len(b.captions) == 16)
    with torch.inference_mode():
        ids = training.tokenizer(batch.captions, TINY.context)
        whole = [3, 4, 11]
        vectors, states = training.texts(ids, whole)
        meant, words = texts(training.model, ids)
    assert torch.allclose(vectors, meant, atol=1e-5)
    assert torch.allclose(states, words[whole][:, : states.shape[1]], atol=1e-5)


def test_a_probe_tells_what_heads_know_until_texts_have_their_turn(
    trained: tuple[Path, Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = trained[1]
    whole = probed
    monkeypatch.setattr(coca, "probed", lambda encoder, seed: whole(encoder, seed, 0.008))
    after = probe(training)
    training.state.step = 1
    before = probe(training)
    training.state.step = TINY.steps
    assert before.keys() == {"head_shape", "head_colour", "head_count", "place_shape"}
    wanted = {
        *("text to frame, R@1", "text to clip by its looks, R@1", "zero-shot colour"),
        *("text to clip by its looks, mean of frames, R@1", "captions of one thing, colour and shape"),
    }
    assert wanted <= after.keys() and all(name.isascii() for name in after)
    assert all(0 <= share <= 1 for share in (*before.values(), *after.values()))


def test_all_that_a_step_needs_is_where_the_model_is(starter: Path, tmp_path: Path) -> None:
    """The device "meta" has no numbers; tensors that lie elsewhere cannot be mixed with its own."""
    training = prepared(starter, tmp_path, TINY, "meta")
    for number in (0, 5):
        loss = training.loss(training.batch(number), number)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.device.type == "meta"


@pytest.fixture(scope="module")
def wide_starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of as many numbers as the recipe that ships has."""
    return released(tmp_path_factory.mktemp("wide"), dim=CocaRecipe().dim)


def test_its_time_over_it_keeps_what_it_has(
    wide_starter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--starter", str(wide_starter), "--out", str(tmp_path), "--for-seconds", "0", "--device", "cpu"]
    assert main([*words, "--steps", "3"]) == 0
    recipe = recipe_for(wide_starter, CocaRecipe(steps=3))
    assert prepared(wide_starter, tmp_path, recipe).state.step == 0 and capsys.readouterr().out == ""
    with pytest.raises(SystemExit):
        main([*words, "--steps", "4"])
    assert "belongs to another recipe; give another folder." in capsys.readouterr().err


def test_a_starter_that_cannot_teach_it_is_refused(
    starter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, says in (
        (
            starter,
            f"{starter} makes vectors of 64 numbers, and a pupil of it makes 192; give another starter.",
        ),
        (tmp_path / "none", f"{tmp_path / 'none'}"),
    ):
        with pytest.raises(SystemExit):
            main(["--starter", str(folder), "--out", str(tmp_path / "out"), "--device", "cpu"])
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- what ships --------------------------------------------------------------------------------------


def test_what_was_released_is_the_familys_and_makes_the_vectors_of_the_mean(
    trained: tuple[Path, Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    out = tmp_path / "out"
    assert release([str(trained[0]), "--out", str(out)]) == 0
    check(lambda: load(f"videococa:local-dir:{out}"))
    encoder, meant = load(f"videococa:local-dir:{out}"), mean_encoder(trained[1])
    pixels = torch.from_numpy(trained[1].batch(0).pictures[:, 0])
    index = list(np.arange(16).reshape(-1, 4))
    with torch.inference_mode():
        pairs = [(e.clips(e.features(pixels), index), e.texts(SAID)) for e in (encoder, meant)]
    for ours, theirs in zip(*pairs, strict=True):
        assert float(torch.cosine_similarity(ours, theirs).min()) >= 0.999
    with safe_open(out / "open_clip_model.safetensors", "pt") as file:
        facts = file.metadata()
    assert (facts["made_by"], facts["steps"], json.loads(facts["recipe"])["queries"]) == (
        "training.coca",
        "8 of 8",
        TINY.queries,
    )


def _other_queries(config: dict[str, dict[str, dict[str, int]]]) -> None:
    config["model_cfg"]["vision_cfg"]["attn_pooler_queries"] += 1


def _no_decoder(config: dict[str, dict[str, dict[str, int]]]) -> None:
    config["model_cfg"]["multimodal_cfg"]["layers"] = 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(_other_queries, "size mismatch for visual.attn_pool.query"), (_no_decoder, "Unexpected key")],
    ids=["pooler", "decoder"],
)
def test_what_does_not_fit_is_not_released(
    spoil: Callable[[dict[str, dict[str, dict[str, int]]]], None],
    says: str,
    trained: tuple[Path, Training],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    for path in trained[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "open_clip_config.json").read_text())
    spoil(config)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit):
        release([str(folder), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert "state.safetensors does not fit open_clip_config.json: " in said and says in said
    assert not (tmp_path / "out").exists()
