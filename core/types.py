"""The nouns: where something was seen, what was embedded, which seconds a vector stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from hashlib import blake2b
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import StoreError, UsageError

Kind = Literal["frame", "clip", "text"]
KINDS: tuple[Kind, ...] = ("frame", "clip", "text")
Layer = str  # "visual", "text", "subtitles", "sidecar:<hash>", "captions"

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_CLIP_POINTS = 256
UNKNOWN = "unknown"  # the weights of vectors that were imported: only their name is known, and only said

Points = Literal["fps", "uniform", "keyframes", "shots"]
POINTS: tuple[Points, ...] = get_args(Points)
Scaler = Literal["torch", "pillow", "swscale"]
Hdr = Literal["none", "tonemap"]
UntaggedHd = Literal["601", "709"]
LOOKS: dict[str, tuple[str, ...]] = {  # of a look, what a user may choose
    "scale": get_args(Scaler),
    "hdr": get_args(Hdr),
    "untagged_hd": get_args(UntaggedHd),
}
PRESETS = ("clip2video-msrvtt", "clip2video-msvd")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file of timed lines beside a video, as `film.en.srt` beside `film.mp4`."""

    path: bytes  # relative to the video's root
    stamp: str
    hash: str = ""  # of its content; "" while nobody has read it

    @property
    def layer(self) -> Layer:
        """Whose rows and lines its content is."""
        return f"sidecar:{self.hash}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something to embed was seen. Words are about places."""

    root: str  # a short name (`--root`)
    path: bytes  # relative to the root (os.fsencode), "/" between parts
    stamp: str = ""  # size and mtime in ns (a URL: size and ETag): unchanged, nothing is read again
    # What a list says of it, one canonical JSON object, or None: for the next word, no part of what it is.
    columns: str | None = field(default=None, compare=False)
    sidecars: tuple[Sidecar, ...] = ()  # what lies beside it, sorted by path

    @property
    def shown(self) -> str:
        """Root and path as people read them; bytes that are no UTF-8 become U+FFFD."""
        return f"{self.root}/{self.path.decode(errors='replace')}"


@dataclass(frozen=True, slots=True)
class Source:
    """Something embedded once, by content, however many places hold it."""

    id: str  # "v-…" of a video's bytes, "t-…" of a library text, "x-…" of an imported place
    places: tuple[Place, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """What one vector stands for: seconds [start, end) of a source. A library text is whole."""

    source: str
    start: float = 0.0
    end: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Words said or shown in seconds [start, end) of a video."""

    start: float
    end: float
    text: str
    language: str = ""  # as its track or file name says: "en", "pt-BR"
    written_by: str = ""  # of a caption the model that wrote it; "" of all else, and where nobody noted it


@dataclass(frozen=True, slots=True)
class Thumbs:
    """Small pictures of one video, each a JPEG, and the second at which each is shown; sorted by time."""

    times: tuple[float, ...] = ()
    tiles: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a container said of one source, kept beside its rows."""

    size: int = 0  # bytes
    samples: str = ""  # hash of the size and 18 samples: a short cut to content
    seconds: float = 0.0
    header_s: float = 0.0  # how long the container says that it is
    zero_s: float = 0.0  # FFmpeg's time of our time zero; a browser that does not shift adds it
    width: int = 0
    height: int = 0
    codec: str = ""
    container: str = ""
    frame_rate: str = ""  # a fraction, "30000/1001"
    timecode: str = ""  # start timecode, "01:00:00:00"
    created: str = ""
    rotation: int = 0
    lost_packets: int = 0
    approximate: bool = False  # its rows' times were reckoned from a stated rate, not read from a file
    still_points: int = 0  # left out by skip-still
    transfer: str = ""  # "pq" or "hlg": pictures are HDR
    shots: tuple[float, ...] = ()  # when each shot begins, where that was asked for


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which points in time become pictures, and which runs of points become clips."""

    points: Points = "fps"
    fps: float = 1.0  # the grid 0, 1/fps, 2/fps, …; the picture *shown* at each point
    count: int = 0  # for points="uniform": so many, at the middles of equal parts
    clip_seconds: float = 8.0  # a clip row: the points in that many seconds; with shots a clip is a shot
    stride_seconds: float = 4.0  # between clip starts; the last clip ends with the last point
    keep_frames: bool = True  # also a row for each point
    whole: bool = False  # one clip a video over all its points
    skip_still: float = 0.0  # points whose picture differs less from the last kept one are left out
    preset: str = ""  # an author's choice of pictures, by name

    def __post_init__(self) -> None:
        for name in ("fps", "clip_seconds", "stride_seconds"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise UsageError(f"{_flag(name)} {value} must be greater than 0.")
        if not 0 <= self.skip_still < 1:
            raise UsageError(f"skip-still {self.skip_still} must be at least 0 and less than 1.")
        self._check_preset() if self.preset else self._check_points()

    def _check_points(self) -> None:
        if self.points not in POINTS:
            raise UsageError(f"points {self.points!r} must be one of {', '.join(POINTS)}.")
        if self.points == "uniform" and self.count < 1:
            raise UsageError("points 'uniform' need count, as in --points uniform --count 12.")
        if self.points != "uniform" and self.count:
            raise UsageError(f"count {self.count} goes with points 'uniform', not with {self.points!r}.")
        if self.points in ("uniform", "keyframes") and self.fps != 1.0:
            raise UsageError(f"fps {self.fps} means nothing with points {self.points!r}; leave it out.")
        if self.points == "shots" and (self.clip_seconds, self.stride_seconds) != (8.0, 4.0):
            raise UsageError(
                "With points 'shots' each shot is a clip; leave clip-seconds and stride-seconds out."
            )
        if self.whole and self.count > MAX_CLIP_POINTS:
            raise UsageError(
                f"count {self.count} is more than the {MAX_CLIP_POINTS} that a whole clip holds."
            )
        if self.points == "fps" and not self.whole and self.fps * self.clip_seconds > MAX_CLIP_POINTS:
            raise UsageError(
                f"fps {self.fps} and clip-seconds {self.clip_seconds} make clips of "
                f"{self.fps * self.clip_seconds:.0f} pictures; at most {MAX_CLIP_POINTS} fit."
            )

    def _check_preset(self) -> None:
        if self.preset not in PRESETS:
            raise UsageError(f"preset {self.preset!r} is not known; {' and '.join(PRESETS)} are.")
        free = ("preset", "keep_frames")
        own = [_flag(field.name) for field in fields(self) if field.name not in free and self._differs(field)]
        if own:
            raise UsageError(
                f"preset {self.preset!r} is a choice of points and clips itself; leave out {', '.join(own)}."
            )

    def _differs(self, field: Field[Any]) -> bool:
        return bool(getattr(self, field.name) != field.default)

    @property
    def is_whole(self) -> bool:
        """Whether a video has one clip over all its points."""
        return self.whole or bool(self.preset)

    def but(self, asked: Mapping[str, Any]) -> Sampling:
        """With what was asked; other points or another preset start from the defaults."""
        for name in ("points", "preset"):
            if asked.get(name, getattr(self, name)) != getattr(self, name):
                return Sampling(**{"keep_frames": self.keep_frames, **asked})
        return replace(self, **asked)


def _flag(name: str) -> str:
    return {"keep_frames": "frames"}.get(name, name.replace("_", "-"))


@dataclass(frozen=True, slots=True)
class Look:
    """How a decoded picture becomes the square an encoder sees, or what is shown in a while a run of them.
    Read from the model's config."""

    size: int
    # The middle square, all of it squashed, or as FFmpeg's filters `scale` and `crop` make the middle square,
    # whoever else would resize.
    fit: Literal["crop", "squash", "ffmpeg"] = "crop"
    resize: Literal["bicubic", "bilinear"] = "bicubic"
    scale: Scaler = "torch"  # who resizes: torch within a grey level of Pillow; swscale straight to the size
    sar: bool = True  # picture elements that are not square are stretched as a player does
    hdr: Hdr = "none"  # or a tone curve for PQ and HLG
    untagged_hd: UntaggedHd = "601"  # the matrix of what names none and is 1280 wide or has > 576 lines
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    run: int = 1  # squares of each point of the grid, as FFmpeg's filter `fps` makes so many until the next

    def __post_init__(self) -> None:
        for name, known in LOOKS.items():
            if (value := getattr(self, name)) not in known:
                raise UsageError(f"{_flag(name)} {value!r} must be one of {', '.join(known)}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what an encoder makes one feature of."""
        square = (self.size, self.size, 3)
        return square if self.run == 1 else (self.run, *square)

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen otherwise than the defaults are."""
        return {name: value for name, value in changed(self).items() if name in LOOKS}

    def but(self, chosen: Mapping[str, str]) -> Look:
        """With what was chosen."""
        wrong: dict[str, Any] = dict(chosen)
        return replace(self, **wrong)


_PER_FEATURE = "pictures_per_feature"  # in store.json, and in what a fingerprint is of


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What makes vectors comparable. Two specs with one fingerprint share a store."""

    name: str  # "open_clip:ViT-B-32/laion2b_s34b_b79k"
    dim: int
    look: Look
    weights: str = ""  # hash over the tensors; "" for toy; "unknown" where the vectors were imported
    revision: int = 1  # raised when our code changes a vector's value
    options: tuple[tuple[str, str], ...] = ()
    sampling: Sampling = Sampling()  # what it was trained on: the default of a new store

    @property
    def pictures_per_feature(self) -> int:
        """As many as its look gives at once."""
        return self.look.run

    @property
    def fingerprint(self) -> str:
        """16 hex digits of what differs from the defaults, so that a later field changes nothing."""
        facts = {k: v for k, v in changed(self).items() if k != "sampling"}
        if self.pictures_per_feature != 1:
            facts[_PER_FEATURE] = self.pictures_per_feature
        if self.weights != UNKNOWN:  # else the name is all there is
            facts["name"] = self.name.partition("/")[0]
        return blake2b(canonical(facts).encode(), digest_size=8).hexdigest()


def canonical(value: object) -> str:
    """JSON with one spelling: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def changed(value: Any) -> dict[str, Any]:
    """A dataclass' fields that differ from their defaults, nested ones likewise."""
    found: dict[str, Any] = {}
    for each in fields(value):
        held = getattr(value, each.name)
        if held != each.default:
            found[each.name] = changed(held) if is_dataclass(held) else held
    return found


def spec_to_json(spec: EncoderSpec) -> dict[str, Any]:
    """Everything but the sampling, which a store holds beside it, and the fingerprint."""
    held = {k: v for k, v in asdict(spec).items() if k != "sampling"}
    return held | {_PER_FEATURE: spec.pictures_per_feature, "fingerprint": spec.fingerprint}


def spec_from_json(held: Mapping[str, Any], sampling: Sampling) -> EncoderSpec:
    """The spec a store.json holds; an unknown key is an error, because it changes vectors."""
    found = dict(held)
    fingerprint, per_feature = found.pop("fingerprint", None), found.pop(_PER_FEATURE, 1)
    look = dict(found.pop("look", {}))
    for name in ("mean", "std"):
        look[name] = tuple(look.get(name, getattr(Look(size=1), name)))
    options = tuple((str(k), str(v)) for k, v in found.pop("options", ()))
    try:
        spec = EncoderSpec(look=Look(**look), options=options, sampling=sampling, **found)
    except TypeError as error:
        raise StoreError(f"The store's encoder has a key this version does not know: {error}.") from error
    except UsageError as error:
        raise StoreError(f"The store's encoder has a value this version does not know: {error}") from error
    if spec.pictures_per_feature != per_feature:
        raise StoreError(
            f"The store's encoder {spec.name} makes a feature of {per_feature} pictures, and its look gives "
            f"{spec.look.run} at once; they must be the same."
        )
    if spec.fingerprint != fingerprint:
        raise StoreError(
            f"The store's encoder {spec.name} has the fingerprint {fingerprint}, "
            f"not {spec.fingerprint} as its own fields say."
        )
    return spec


def sampling_from_json(held: Mapping[str, Any]) -> Sampling:
    """The sampling a store.json holds; an unknown key is an error, because it changes rows."""
    try:
        return Sampling(**held)
    except TypeError as error:
        raise StoreError(f"The store's sampling has a key this version does not know: {error}.") from error
