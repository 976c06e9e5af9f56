"""Films: scenes after one another, of any length, and what each of their moments shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from extractor.world.chance import Chance
from extractor.world.drawn import Split, drawn
from extractor.world.grounds import Pixels
from extractor.world.render import render
from extractor.world.scene import Scene, still

FPS = Fraction(12)
SIDE = 192
SHOT_SECONDS = 4.0  # on average
_WANDERS = 0.2  # of that, either way, a cut
_TICKS = 4  # cuts lie on quarters of a second
_AT_ONCE = 24  # pictures rendered together


@dataclass(frozen=True, slots=True)
class Shot:
    """A scene from one cut to the next, in seconds of the film."""

    scene: Scene
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Film:
    """Shots in a row, without gaps."""

    shots: tuple[Shot, ...]

    @property
    def seconds(self) -> float:
        return self.shots[-1].end

    def at(self, t: float) -> Scene:
        """What is to be seen at a time; its pictures are taken at times near it (`taken`)."""
        shot = next((shot for shot in self.shots if t < shot.end), self.shots[-1])
        return still(shot.scene, min(max((t - shot.start) / (shot.end - shot.start), 0.0), 1.0))


def film(split: Split, seed: int, number: int, seconds: float, shot_seconds: float = SHOT_SECONDS) -> Film:
    """The film of that number."""
    chance = Chance(split, seed, "film", number)
    count = max(1, round(seconds / shot_seconds))
    length = seconds / count
    cuts = [i * length + chance.between(-_WANDERS, _WANDERS) * length for i in range(1, count)]
    times = [0.0, *(round(cut * _TICKS) / _TICKS for cut in cuts), seconds]
    scenes = (drawn(chance, split == "train") for _ in range(count))
    spans = zip(scenes, times, times[1:], strict=False)
    return Film(tuple(Shot(scene, start, end) for scene, start, end in spans if start < end))


def there_and_back(split: Split, seed: int, number: int, seconds: float) -> Film:
    """One thing that goes one way, and then back, with no cut between."""
    chance = Chance(split, seed, "there and back", number)
    while True:
        scene = replace(drawn(chance, split == "train", count=1), pan="")
        (thing,) = scene.things
        if thing.motion in ("left", "right", "up", "down"):
            break
    return Film((Shot(scene, 0.0, seconds / 2), Shot(scene.reversed(), seconds / 2, seconds)))


def taken(film: Film, fps: Fraction = FPS) -> Iterator[tuple[Scene, list[float]]]:
    """Scene after scene, with the parts of its time at which pictures are taken: evenly around half time."""
    last = 0
    for shot in film.shots:
        first, last = last, max(round(shot.end * fps), last)
        yield shot.scene, [(number + 0.5) / (last - first) for number in range(last - first)]


def frames(film: Film, fps: Fraction = FPS, side: int = SIDE) -> Iterator[Pixels]:
    """The film as a camera takes it."""
    for scene, parts in taken(film, fps):
        for at in range(0, len(parts), _AT_ONCE):
            yield from render(scene, parts[at : at + _AT_ONCE], side)
