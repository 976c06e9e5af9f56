"""Videos for people to try things on, with questions and where in which videos their answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from extractor.world import plain_films
from extractor.world.chance import Chance
from extractor.world.claims import full, least
from extractor.world.film import FPS, Shot, film, frames
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.query import Query, satisfies

_SAME_AGAIN = (  # x264's tree of macroblocks reads memory that nobody wrote, unless a row has 8 of them
    ("x264-params", "threads=1:log=-1:mbtree=0:weightp=0"),
)
_ASKED = 200  # moments at most, since each question is held against every moment there is


@dataclass(frozen=True, slots=True)
class Question:
    """A text, and of which scenes it is true."""

    text: str
    is_true_of: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Moment:
    """Some seconds of a video that show a scene, in words and with questions that find it."""

    start: float
    end: float
    scene: Any
    caption: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One video."""

    name: str
    moments: tuple[Moment, ...]
    pictures: Callable[[], Iterator[Pixels]]
    options: tuple[tuple[str, str], ...] = ()  # of the encoder of videos

    def write(self, path: Path) -> None:
        """As H.264."""
        from extractor.media.write import Encoding, write_video  # only what writes video needs it

        write_video(path, self.pictures(), Encoding(fps=FPS, gop=24, bframes=2, options=self.options))


def samples(seed: int, count: int, seconds: float) -> list[Sample]:
    """The films that a seed gives."""
    found = []
    for number in range(count):
        made = film("sample", seed, number, seconds)
        moments = (_moment(shot, Chance("sample", seed, number, i)) for i, shot in enumerate(made.shots))
        found.append(Sample(_name(number), tuple(moments), partial(frames, made), _SAME_AGAIN))
    return found


def plain_samples(seed: int, count: int, seconds: float) -> list[Sample]:
    """The plain films that a seed gives."""
    found = []
    for number in range(count):
        made = plain_films.film(seed, number, seconds)
        moments = []
        for scene, (start, end, caption) in zip(made.scenes, made.captions(), strict=True):
            moments.append(Moment(start, end, scene, caption, tuple(_plain_questions(scene))))
        found.append(Sample(_name(number), tuple(moments), partial(plain_films.frames, made, FPS)))
    return found


def queries(films: Sequence[Sample]) -> Iterator[tuple[str, str, float, float]]:
    """Each question once, with every moment of all the films that it is true of."""
    moments = [(film.name, moment) for film in films for moment in film.moments]
    told: set[str] = set()
    for _, asked in moments[:: -(-len(moments) // _ASKED)]:
        for question in asked.questions:
            if question.text not in told:
                told.add(question.text)
                for name, moment in moments:
                    if question.is_true_of(moment.scene):
                        yield question.text, name, moment.start, moment.end


def _name(number: int) -> str:
    return f"sample-{number + 1:02}.mp4"


def _moment(shot: Shot, chance: Chance) -> Moment:
    caption = sentence(full(shot.scene, chance), chance)
    claims = full(shot.scene, chance), least(shot.scene, chance)
    asked = tuple(Question(sentence(claim, chance), _truth(claim)) for claim in claims)
    return Moment(shot.start, shot.end, shot.scene, caption, asked)


def _truth(claim: Query) -> Callable[[Any], bool]:
    return lambda scene: satisfies(scene, claim)


def _plain_questions(scene: plain_films.Scene) -> Iterator[Question]:
    yield Question(scene.caption, lambda other: bool(other.caption == scene.caption))
    short = scene.caption.partition(f" {scene.motion}")[0].lower()
    kind = scene.colour, scene.shape
    yield Question(short, lambda other: bool((other.colour, other.shape) == kind))
