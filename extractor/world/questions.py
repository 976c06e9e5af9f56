"""Videos for people to try things on, with questions and where in which videos their answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from extractor.world.chance import Chance
from extractor.world.claims import full, least
from extractor.world.film import FPS, Shot, film, frames
from extractor.world.grammar import sentence
from extractor.world.grounds import Pixels
from extractor.world.plain_films import PlainScene, plain_film, plain_frames
from extractor.world.query import Query, satisfies
from extractor.world.scene import Scene

SAME_AGAIN = (  # x264's tree of macroblocks reads memory that nobody wrote, unless a row has 8 of them
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
    """Some seconds of a video that show a scene; words and questions that find it are made when asked for."""

    start: float
    end: float
    scene: Any
    caption: Callable[[], str]
    questions: Callable[[], tuple[Question, ...]]


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


@dataclass(frozen=True, slots=True)
class Samples:
    """The films of a seed. Each is made anew whenever its turn comes, so that they need not be held."""

    make: Callable[[int], Sample]
    count: int

    def __iter__(self) -> Iterator[Sample]:
        return map(self.make, range(self.count))


def samples(seed: int, count: int, seconds: float) -> Samples:
    """Those of the sample world."""

    def make(number: int) -> Sample:
        made = film("sample", seed, number, seconds)
        moments = (_moment(shot, ("sample", seed, number, i)) for i, shot in enumerate(made.shots))
        return Sample(_name(number), tuple(moments), partial(frames, made), SAME_AGAIN)

    return Samples(make, count)


def plain_samples(seed: int, count: int, seconds: float) -> Samples:
    """The plain ones."""

    def make(number: int) -> Sample:
        made = plain_film(seed, number, seconds)
        moments = (
            Moment(start, end, scene, partial(str, caption), partial(_plain_questions, scene))
            for scene, (start, end, caption) in zip(made.scenes, made.captions(), strict=True)
        )
        return Sample(_name(number), tuple(moments), partial(plain_frames, made, FPS))

    return Samples(make, count)


def asked(films: Samples) -> list[Question]:
    """Those of evenly spread moments, each once."""
    count = sum(len(each.moments) for each in films)
    moments = (moment for each in films for moment in each.moments)
    found: dict[str, Question] = {}
    for moment in islice(moments, 0, None, -(-count // _ASKED)):
        for question in moment.questions():
            found.setdefault(question.text, question)
    return list(found.values())


def queries(films: Samples) -> Iterator[tuple[str, str, float, float]]:
    """Each question with every moment that it is true of, film by film."""
    questions = asked(films)
    for each in films:
        for question in questions:
            for moment in each.moments:
                if question.is_true_of(moment.scene):
                    yield question.text, each.name, moment.start, moment.end


def _name(number: int) -> str:
    return f"sample-{number + 1:02}.mp4"


def _moment(shot: Shot, key: tuple[str | int, ...]) -> Moment:
    caption, questions = partial(_caption, shot.scene, key), partial(_questions, shot.scene, key)
    return Moment(shot.start, shot.end, shot.scene, caption, questions)


def _caption(scene: Scene, key: tuple[str | int, ...]) -> str:
    chance = Chance(*key)
    return sentence(full(scene, chance), chance)


def _questions(scene: Scene, key: tuple[str | int, ...]) -> tuple[Question, ...]:
    chance = Chance(*key, "questions")
    claims = full(scene, chance), least(scene, chance)
    return tuple(Question(sentence(claim, chance), _truth(claim)) for claim in claims)


def _truth(claim: Query) -> Callable[[Any], bool]:
    return lambda scene: satisfies(scene, claim)


def _plain_questions(scene: PlainScene) -> tuple[Question, ...]:
    caption, kind = scene.caption, (scene.colour, scene.shape)
    short = caption.partition(f" {scene.motion}")[0].lower()
    return (
        Question(caption, lambda other: bool(other.caption == caption)),
        Question(short, lambda other: bool((other.colour, other.shape) == kind)),
    )
