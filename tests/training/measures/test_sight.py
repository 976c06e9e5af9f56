"""What is measured on: the scenes that are meant, out of real video files, and each in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from core.types import EncoderSpec, IntArray, Look
from extractor.encoders import load
from extractor.encoders.base import Encoder
from extractor.world.drawn import drawn, scene
from extractor.world.film import Film, Shot, film, taken
from extractor.world.render import render
from extractor.world.scene import Scene, Thing, still
from training.measures.galleries import retrieved
from training.measures.motion import directions, motions, reversal
from training.measures.sight import FRAMES, Sight


class Place:
    """Where the middle of what is dark lies, in each picture: a clip is all of them in their order."""

    def __init__(self, knows_order: bool) -> None:
        self.spec = EncoderSpec("place", 2 * FRAMES, Look(64))
        self._knows_order = knows_order

    def features(self, pictures: Tensor) -> Tensor:
        dark = (pictures.float().mean(dim=-1) < 60).float() + 1e-6
        line = torch.arange(64.0)
        total = dark.sum(dim=(1, 2))
        return torch.stack(
            [(dark.sum(dim=1) * line).sum(dim=1) / total, (dark.sum(dim=2) * line).sum(dim=1) / total], dim=1
        )

    def clips(self, features: Tensor, index: Sequence[IntArray]) -> Tensor:
        held = [features[torch.from_numpy(rows)] for rows in index]
        found = [rows if self._knows_order else rows.mean(dim=0).repeat(len(rows), 1) for rows in held]
        whole = [torch.cat([rows, rows[-1:].repeat(FRAMES - len(rows), 1)]) for rows in found]
        return torch.stack([rows.flatten() for rows in whole])

    def texts(self, texts: Sequence[str]) -> Tensor:
        """What goes left is ever less to the right."""
        rows = torch.zeros(len(texts), FRAMES, 2)
        for row, text in zip(rows, texts, strict=True):
            for at, words in ((0, ("left", "right")), (1, ("up", "down"))):
                sense = sum(sign * (word in text) for sign, word in zip((-1, 1), words, strict=True))
                row[:, at] = sense * torch.linspace(-1, 1, FRAMES)
        return torch.nn.functional.normalize(rows.flatten(1), dim=1)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)


def black_thing(thing: Thing) -> Thing:
    return replace(thing, colour="black", texture="plain")


def seen(encoder: Encoder, size: float = 0.05) -> Sight:
    return Sight(encoder, "test", 4, size)


@pytest.fixture(scope="module")
def toy() -> Sight:
    return seen(load("toy:rgb"))


def test_every_scene_is_seen_in_its_place(toy: Sight) -> None:
    scenes = [still(scene("test", 4, number, 1), 0.5) for number in range(24)]
    rows = toy.pictures(scenes)
    again = toy.pictures(scenes[::-1])[::-1]
    assert rows.shape == (24, 12)
    assert ((rows * again).sum(axis=1) > 0.97).all()
    plain = toy.encoder.features(torch.from_numpy(np.stack([render(s, [0.5], 32)[0] for s in scenes])))
    meant = toy.encoder.clips(plain, [np.array([i]) for i in range(24)]).numpy()
    assert np.median((rows * meant).sum(axis=1)) > 0.9
    assert ((rows @ meant.T).argmax(axis=1) == np.arange(24)).mean() > 0.6


def test_clips_cross_the_files_that_they_are_filmed_in(toy: Sight) -> None:
    scenes = [scene("test", 4, number) for number in range(66)]
    rows = toy.clips(scenes)
    assert len(rows) == 66
    clips, means = toy.both(scenes[:3])
    assert ((clips * rows[:3]).sum(axis=1) > 0.97).all()
    assert np.allclose(np.linalg.norm(means, axis=1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_rows(toy: Sight) -> None:
    scenes = [scene("test", 4, number) for number in range(3)]
    assert np.array_equal(toy.clips(scenes), seen(load("toy:rgb")).clips(scenes))


def test_films_are_cut_into_the_clips_of_extract(toy: Sight) -> None:
    spans, rows = toy.film(film("test", 4, 0, 12.0), 0)
    assert [round(start) for start, _ in spans] == [0, 2, 4, 6, 8]
    assert all(end - start == pytest.approx(4, abs=0.2) for start, end in spans)
    assert rows.shape == (5, 12)


@pytest.mark.parametrize("knows", [True, False])
def test_whether_the_order_of_pictures_is_known_is_found_out(knows: bool) -> None:
    assert seen(Place(knows)).knows_order is knows


def test_a_shot_shows_its_motion_from_beginning_to_end() -> None:
    shown = Film((Shot(scene("test", 4, 0), 0.0, 4.0),))
    ((_, parts),) = taken(shown, Fraction(2))
    assert parts == [(number + 0.5) / FRAMES for number in range(FRAMES)]


def test_what_sees_places_in_their_order_knows_motions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Black things on white, so that it sees them well."""

    def black(*given: object) -> Scene:
        made = drawn(*given)  # type: ignore[arg-type]
        things = tuple(black_thing(thing) for thing in made.things)
        return Scene(things, "white")

    monkeypatch.setattr("training.measures.motion.drawn", black)
    for knows, least, most in ((True, 0.9, 1.0), (False, 0.0, 0.5)):
        sight = seen(Place(knows), 0.06)
        one, of_means, _ = directions(sight)
        assert least <= one.figure <= most and of_means.figure < 0.6
        assert (one.bar is None) is not knows
        of_means, clips = reversal(sight)
        assert 0.4 < of_means.figure < 0.6
        assert (clips.figure > 0.7) is knows
    (sixteen,) = motions(sight)
    assert sixteen.verdict == "no bar" and "order" in sixteen.note


def test_each_kind_of_encoder_has_bars_of_its_own() -> None:
    for knows, least, most in ((True, None, 0.85), (False, 0.90, None)):
        bars = {line.measure: line.bar and line.bar.least for line in retrieved(seen(Place(knows), 0.01))}
        assert bars["text → frame, R@1"] == bars["clip by its looks → text, R@1"] == least
        assert bars["text → clip, R@1"] == bars["clip → text, R@1"] == most
        assert bars["text → clip, R@10"] == (most and 0.98)
