"""The toy encoder: videos and texts meet in colour space; and how encoders are found by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import EncoderError, UsageError
from core.types import Sampling
from extractor import encoders
from extractor.encoders import families, load
from extractor.encoders.base import unit
from extractor.encoders.devices import choose_device
from extractor.encoders.toy import COLOURS, NAMES
from extractor.media.reader import Reader
from extractor.world.plain_films import PLAIN_BACKGROUNDS, PlainScene, plain_picture
from extractor.world.plain_films import PLAIN_COLOURS as WORLD

TOY = load("toy:rgb")


def video(path: Path) -> Tensor:
    """The clip of all pictures at 1 fps."""
    with Reader(path) as reader:
        pictures = np.stack([p.pixels for p in reader.pictures(Sampling(), TOY.spec.look)])
    return TOY.clips(TOY.features(torch.from_numpy(pictures)), [np.arange(len(pictures))])[0]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("red", "red"),
        ("a green thing", "green"),
        ("white", "white"),
        ("a blue circle", "blue"),
        ("Crimson!", "red"),
    ],
)
def test_a_colour_finds_its_video_first(videos: Path, query: str, name: str) -> None:
    names = ["red", "green", "blue", "white"]
    scores = torch.stack([video(videos / f"{each}.mp4") for each in names]) @ TOY.texts([query])[0]
    assert names[int(scores.argmax())] == name


def test_a_red_video_finds_the_text_red(videos: Path) -> None:
    texts = ["a white cat", "something blue", "red", "green grass", "a dog"]
    assert texts[int((TOY.texts(texts) @ video(videos / "red.mp4")).argmax())] == "red"


@pytest.mark.parametrize("colour", WORLD)
@pytest.mark.parametrize("background", PLAIN_BACKGROUNDS)
def test_a_small_shape_on_grey_finds_its_colour_word(colour: str, background: str) -> None:
    scene = PlainScene(colour, "circle", background, "rises", 4.0)
    picture = torch.from_numpy(plain_picture(scene, 2.0, 32, 32))[None]
    scores = (TOY.clips(TOY.features(picture), [np.array([0])]) @ TOY.texts(list(WORLD)).T)[0]
    assert list(WORLD)[int(scores.argmax())] == colour
    assert float(scores.max()) > 0.4


def test_two_colours_are_found_by_both(videos: Path) -> None:
    scores = TOY.texts(["red", "blue", "green", "red and blue"]) @ video(videos / "red-then-blue.mp4")
    assert scores[3] > max(scores[0], scores[1])
    assert min(scores[0], scores[1]) > scores[2]


def test_rows_have_length_one() -> None:
    rows = torch.cat([TOY.texts(["red", "a dog", ""]), TOY.clips(TOY.features(black()), [np.array([0])])])
    assert torch.allclose(rows.norm(dim=-1), torch.ones(len(rows)))


def black() -> Tensor:
    return torch.zeros(1, 32, 32, 3, dtype=torch.uint8)


def test_texts_without_a_colour_are_a_little_like_everything() -> None:
    rows = TOY.texts(["a dog", "", "rapid", "inbred"])
    assert torch.equal(rows, rows[:1].expand_as(rows))
    assert float(rows.max() - rows.min()) == 0


def test_every_named_colour_is_a_word_of_its_own() -> None:
    words = [word for line in COLOURS.values() for word in line.split()]
    assert len(words) == len(set(words))
    assert all(name in line.split() for name, line in COLOURS.items())
    assert set(WORLD) <= set(NAMES)


def test_rows_are_bit_equal_whatever_the_threads() -> None:
    pictures = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (64, 32, 32, 3), np.uint8))
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(TOY.clips(TOY.features(pictures), [np.arange(64), np.arange(64)[::-1].copy()]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0][0], found[0][1])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nosuch", "There is no encoder family 'nosuch'; there are toy"),
        ("nosuch:x/y", "There is no encoder family 'nosuch'"),
        ("", "There is no encoder family ''"),
        ("toy:cmyk", "toy has no variant 'cmyk'; it has 'rgb'"),
    ],
)
def test_an_unknown_encoder_is_refused_with_what_there_is(name: str, says: str) -> None:
    with pytest.raises(EncoderError, match=says):
        load(name)


def test_toy_refuses_weights_and_options() -> None:
    with pytest.raises(EncoderError, match="no weights"):
        load("toy", weights=Path("x"))
    with pytest.raises(EncoderError, match="no options, but was given layers"):
        load("toy", layers=3)


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = [
        EntryPoint("toy", "somewhere.evil:load", encoders.GROUP),
        EntryPoint("mine", "extractor.encoders.toy:load", encoders.GROUP),
        EntryPoint("bad", "no_such_package:load", encoders.GROUP),
    ]
    monkeypatch.setattr(encoders, "entry_points", lambda group: [p for p in points if p.group == group])
    yield


@pytest.mark.usefixtures("strangers")
def test_a_stranger_adds_a_family_and_shadows_no_built_in() -> None:
    assert families()["toy"] == "extractor.encoders.toy:load"
    assert load("mine:rgb").spec == TOY.spec
    assert load("toy").spec == TOY.spec
    with pytest.raises(EncoderError, match=r"bad \(no_such_package:load\) does not load"):
        load("bad")


def test_naming_the_families_imports_no_torch() -> None:
    code = "import sys, extractor, extractor.encoders as e; e.families(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_facts_of_a_file_need_no_torch(videos: Path) -> None:
    code = (
        "import sys; from extractor.media.reader import Reader\n"
        f"with Reader({str(videos / 'red.mp4')!r}) as r: assert r.facts.seconds == 10\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_devices_are_chosen_or_refused_by_name() -> None:
    there = torch.cuda.is_available()
    assert choose_device() == choose_device("auto") == ("cuda" if there else "cpu")
    assert choose_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="'abacus' is unknown"):
        choose_device("abacus")
    with pytest.raises(UsageError, match="'cuda:99' is not on this machine"):
        choose_device("cuda:99")


def test_unit_leaves_zeros_alone() -> None:
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
