"""The trainer of motion: it goes on where it was cut off, over the pictures of one starter that it leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import UsageError
from extractor.encoders.clip2video import Clip2Video
from extractor.encoders.starter_motion import opened
from extractor.encoders.tensors import read
from extractor.encoders.weights import hash_of
from extractor.world.chance import Chance
from extractor.world.motions import MOTIONS, REVERSED
from extractor.world.query import satisfies
from extractor.world.unseen import unseen
from tests.training.begun import released, tiny_motion
from training import choices, motion
from training.groups import ATTRIBUTES
from training.loop import step
from training.motion import Training, later, main, prepared, release
from training.motion_probe import probe_of
from training.moving import alike, moments, ordinary
from training.state import under


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("trained"))


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))


def begun(starter: Path, folder: Path) -> Training:
    return prepared(starter, folder, tiny_motion(starter))


# --- what is shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ordinary, alike])
def test_a_batch_is_the_same_again_and_each_caption_is_true(kind: object) -> None:
    make = alike if kind is alike else ordinary
    one, again, other = (make("train", 0, number, 48) for number in (3, 3, 4))
    assert one == again and one.claims != other.claims
    shown = one.pictures(64)
    assert np.array_equal(shown, again.pictures(64)) and one.captions(Chance(1)) == again.captions(Chance(1))
    assert all(satisfies(scene, query) for scene, query in zip(one.scenes, one.claims, strict=True))
    assert not any(unseen(scene) for scene in one.scenes)
    assert len(one.index) == len(one.claims) == len(one.groups) <= 48
    assert np.array_equal(np.concatenate(one.index), np.arange(len(shown)))
    assert all(4 <= len(rows) <= 12 for rows in one.index)
    assert (min(one.groups) == 0) == (make is alike)


def test_a_groups_clips_are_seen_at_the_same_moments_and_other_groups_at_theirs() -> None:
    batch = alike("train", 0, 1, 96, ("motion",))
    lengths: dict[int, set[int]] = {number: set() for number in batch.groups}
    for number, rows in zip(batch.groups, batch.index, strict=True):
        lengths[number].add(len(rows))
    assert all(len(each) == 1 for each in lengths.values()) and len(set.union(*lengths.values())) > 1
    firsts = [scene.things[0].motion for scene in batch.scenes]
    assert set(firsts) == set(MOTIONS)


def test_counts_are_told_apart_up_to_eight() -> None:
    sizes = set[int]()
    for number in range(8):
        batch = alike("train", 0, number, 48, ("count",))
        sizes |= {batch.groups.count(each) for each in batch.groups}
    assert min(sizes) <= 4 and 6 <= max(sizes) <= 8  # some are left out: no training sees them


def test_a_clip_passes_half_time_and_sees_a_blink() -> None:
    for number in range(200):
        found = moments(Chance(number))
        assert 4 <= len(found) <= 12 and 0 < found[0] < 0.45 and 0.55 < found[-1] < 1
        assert np.diff(found) == pytest.approx([found[1] - found[0]] * (len(found) - 1))
        assert {0.1 < abs(part - 0.5) < 0.3 for part in found} == {True, False}


# --- the training ------------------------------------------------------------------------------------


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(starter: Path, tmp_path: Path) -> None:
    whole = begun(starter, tmp_path / "whole")
    for number in range(4):
        step(whole, number)
    for number in range(4):  # in pieces of one step
        piece = begun(starter, tmp_path / "pieces")
        assert piece.state.step == number
        step(piece, number)
        piece.state.save(tmp_path / "pieces", piece.recipe)
    found = begun(starter, tmp_path / "pieces").state.mean
    fresh = begun(starter, tmp_path / "fresh").state.mean
    for name, value in whole.state.mean.items():
        assert torch.allclose(value, found[name], rtol=0, atol=1e-5), name
    assert any(not torch.allclose(value, fresh[name], rtol=0, atol=1e-3) for name, value in found.items())


def test_it_does_not_go_on_with_what_was_trained_on_another_starter(starter: Path, tmp_path: Path) -> None:
    training = begun(starter, tmp_path)
    training.state.save(tmp_path, training.recipe)
    with pytest.raises(UsageError, match="another recipe"):
        prepared(starter, tmp_path, replace(training.recipe, starter="0" * 32))


def test_it_goes_on_from_what_was_released_and_chooses_between_clips(starter: Path, tmp_path: Path) -> None:
    first = begun(starter, tmp_path / "first")
    for number in range(2):
        step(first, number)
    file = tmp_path / "first.safetensors"
    release(first, file)
    recipe = later(tiny_motion(starter), file)
    assert recipe.after == hash_of(file)
    assert recipe.told.count("turning") == 3 > first.recipe.told.count("turning") == 0
    training = prepared(starter, tmp_path / "later", recipe, after=file)
    held = read(file)
    begins = training.model.state_dict()
    assert all(torch.equal(value.half(), held[name]) for name, value in begins.items())
    batch = training.batch(0)
    assert batch.choices is not None and first.batch(0).choices is None
    heavier = replace(training, recipe=replace(recipe, choices_weight=3.0))
    with torch.no_grad():
        clips = training.encoder.clips(batch.features, batch.index)
        others = training.encoder.clips(batch.features, batch.choices.index)
        spoken, scale = training.texts(batch.captions), training.model.clip.logit_scale
        chosen = float(choices.loss(clips, others, spoken, scale, batch.choices.wrong))
        more = float(heavier.loss(batch, 0) - training.loss(batch, 0))
        known = float(training.loss(batch, 0) - chosen - training.loss(replace(batch, choices=None), 0))
    assert more == pytest.approx(2 * chosen, rel=1e-3) and chosen > 0
    assert known > 0  # what heads ask of clips that go backwards


def test_it_goes_on_only_over_the_starter_that_it_was_trained_on(
    starter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = released(tmp_path, seed=1)
    training = begun(other, tmp_path / "first")
    release(training, tmp_path / "first.safetensors")
    with pytest.raises(SystemExit):
        after = ["--after", str(tmp_path / "first.safetensors")]
        main(["--starter", str(starter), "--out", str(tmp_path / "later"), *after])
    assert "take both from the same training" in capsys.readouterr().err
    assert not (tmp_path / "later").exists()


def test_a_state_that_is_damaged_or_none_is_named(starter: Path, tmp_path: Path) -> None:
    training = begun(starter, tmp_path)
    training.state.save(tmp_path, training.recipe)
    path = tmp_path / "state.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="is damaged; remove it"):
        begun(starter, tmp_path)
    path.write_bytes((starter / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(UsageError, match="is no state of a training"):
        begun(starter, tmp_path)


def test_it_leaves_the_pictures_tower_as_it_is_and_holds_nothing_of_it(starter: Path, tmp_path: Path) -> None:
    training = begun(starter, tmp_path)
    before = {name: value.clone() for name, value in training.encoder.visual.state_dict().items()}
    step(training, 0)
    after = training.encoder.visual.state_dict()
    assert before and all(torch.equal(value, after[name]) for name, value in before.items())
    release(training, tmp_path / "model.safetensors")
    held = read(tmp_path / "model.safetensors")
    assert (
        not any("visual" in name or "head" in name for name in held) and "clip.token_embedding.weight" in held
    )
    assert {value.dtype for value in held.values()} == {torch.float16}


def test_our_texts_are_the_encoders_texts(starter: Path, tmp_path: Path) -> None:
    training = begun(starter, tmp_path)
    said = ["a red star", "a small blue ring goes left over grass", ""]
    with torch.inference_mode():
        assert torch.allclose(training.texts(said), training.encoder.texts(said), atol=1e-5)


def test_whose_is_what_where_it_lies_and_which_way_it_goes_is_learned_of_clips_and_of_sentences(
    starter: Path, tmp_path: Path
) -> None:
    training = begun(starter, tmp_path)
    training.loss(training.batch(0), 0).backward()  # type: ignore[no-untyped-call]
    for head in (training.heads.lying, training.heads.going, training.heads.turning):
        assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in head.parameters())


def test_groups_of_motions_are_most_of_what_it_sees_first(
    starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = begun(starter, tmp_path)
    training = replace(training, recipe=replace(training.recipe, steps=1000, times=1))
    monkeypatch.setattr(motion, "alike", lambda *given: given[4:])
    monkeypatch.setattr(motion, "ordinary", lambda *given: "ordinary")
    seen: list[object] = [training.clips(training.recipe.shown(number)) for number in range(1000)]
    early, later = seen[:400], seen[400:]
    assert early.count((("motion",),)) / 400 == pytest.approx(0.85, abs=0.05)
    assert later.count((("motion",),)) / 600 == pytest.approx(0.35, abs=0.05)
    assert later.count("ordinary") / 600 == pytest.approx(0.325, abs=0.05)
    (others,) = {*map(str, seen)} - {"(('motion',),)", "ordinary"}
    assert all(others.count(f"'{attribute}'") >= 1 for attribute in ATTRIBUTES)
    assert others.count("'direction'") == 3 and others.count("'relation'") == others.count("'count'") == 2


def test_what_is_shown_again_is_told_in_other_words_and_others_come_after_it(
    starter: Path, tmp_path: Path
) -> None:
    training = begun(starter, tmp_path)
    training = replace(training, recipe=replace(training.recipe, kept=2, times=3))
    batches = [training.batch(number) for number in range(8)]
    assert [training.recipe.shown(number) for number in range(8)] == [0, 1, 0, 1, 0, 1, 2, 3]
    assert all(torch.equal(batches[n].features, batches[n % 2].features) for n in range(6))
    assert len({tuple(batch.captions) for batch in batches}) == 8
    assert list(training.kept) == [2, 3]
    fresh = replace(training, kept={}).batch(5)  # as after it was cut off
    assert torch.equal(fresh.features, batches[5].features) and fresh.captions == batches[5].captions


def test_some_clips_are_seen_as_a_video_file_leaves_them(starter: Path, tmp_path: Path) -> None:
    clips = alike("train", 0, 2, 16, ("motion",))
    plain, coded = clips.pictures(64), clips.coded(64, Chance(1))
    assert coded.shape == plain.shape and 0 < np.abs(coded.astype(int) - plain).mean() < 6
    training = begun(starter, tmp_path)
    for share in (0.0, 1.0):
        asked = replace(training, recipe=replace(training.recipe, coded_share=share))
        assert np.array_equal(asked.pictures(clips, 0), plain) == (not share)


def test_what_it_releases_is_what_its_probe_saw(starter: Path, tmp_path: Path) -> None:
    training = begun(starter, tmp_path)
    for number in range(2):
        step(training, number)
    probe = probe_of(training.encoder, 0, size=16, many=20)
    learning = training.model.weight_center.detach().clone()
    mine = motion.probed(training, probe)
    assert torch.equal(training.model.weight_center, learning)
    assert mine["reversal_mean"] == pytest.approx(0.5, abs=0.07)
    assert all(0 <= figure <= 1 for figure in mine.values()) and probe.place_r2() < 1
    release(training, tmp_path / "model.safetensors")
    encoder = opened("starter-motion", starter, tmp_path / "model.safetensors")
    theirs = probe(encoder)
    assert theirs == pytest.approx(mine, abs=0.2) and isinstance(encoder, Clip2Video)
    texts = ["a red star goes left", "a blue ring"]
    training.model.load_state_dict(under(training.state.mean, "model."))
    with torch.inference_mode():
        one, other = encoder.texts(texts), training.encoder.texts(texts)
    assert float(torch.cosine_similarity(one, other).min()) > 0.9999


def test_the_probe_knows_a_motion_and_what_it_is_backwards(starter: Path, tmp_path: Path) -> None:
    probe = probe_of(begun(starter, tmp_path).encoder, 0, size=14, many=2)
    pairs = zip(probe.there.scenes, probe.back.scenes, strict=True)
    assert all(REVERSED[one.things[0].motion] == other.things[0].motion for one, other in pairs)
    there, back = (each.features.reshape(14, -1, 64) for each in (probe.there, probe.back))
    assert torch.allclose(there, back.flip(1), atol=1e-4)
    assert all(len(scene.things) in (2, 3) for scene in probe.named.scenes)


def test_its_time_over_it_keeps_and_releases_what_it_has(
    starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = probe_of
    monkeypatch.setattr(motion, "probe_of", lambda encoder, seed: small(encoder, seed, 8, 8))
    assert (
        main(["--starter", str(starter), "--out", str(tmp_path), "--steps", "2", "--for-seconds", "0"]) == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0] and "place_r2" in lines[0]
    assert (tmp_path / "model.safetensors").is_file() and (tmp_path / "state.safetensors").is_file()


def test_without_a_starter_it_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--starter", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "open_clip_model.safetensors do not exist" in capsys.readouterr().err
