"""Videos for all tests: made once a run by our own world, and real ones where `--media` finds them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import NoReturn

import hypothesis
import numpy as np
import pytest

from extractor.media.write import Encoding, write_sound, write_video
from extractor.world.grounds import Pixels
from extractor.world.plain_films import PLAIN_COLOURS, PlainFilm, PlainScene, plain_frames
from tests import browser
from tests.browser import Browser

FPS = Fraction(10)
LIKE = Encoding(fps=FPS, gop=20, bframes=2)
MEMORY, _MEMORY_BYTES = Path("/dev/shm"), 1 << 30
hypothesis.settings.register_profile("any machine", deadline=None)  # no test depends on its speed
hypothesis.settings.load_profile("any machine")
_LATE = ("extractor/encoders/", "training/", "test_concept")  # they hold models


def pytest_configure(config: pytest.Config) -> None:
    """No test meets the user's own weights or reaches a hub; said before anything is imported. Ctrl-C reaches
    what tests start, also where a script runs them in its background and has them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    held = TemporaryDirectory(prefix="cinedex-tests-")
    config.add_cleanup(held.cleanup)
    Path(held.name, "weights").mkdir()
    os.environ |= {
        "CINEDEX_WEIGHTS": f"{held.name}/weights",
        "HF_HOME": f"{held.name}/hub",
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    os.environ.pop("CINEDEX_VOCAB", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What forks comes first: a process grows and gains threads with every test, so that a fork costs more
    and may hang in a lock that one of them held. Models come last, which it grows by most."""
    items.sort(key=_turn)


def pytest_collection_finish() -> None:
    """All of the modules are there, and stay: a million things, which the collector would look through in
    each `extract` of this process and between them, most of a second each time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Else libraries find things of theirs alive at the end, and say so."""
    gc.unfreeze()


def _turn(item: pytest.Item) -> int:
    if _kills(getattr(item, "module", None)):
        return 0
    path = item.path.as_posix()
    if any(f"tests/{late}" in path for late in _LATE):
        return 3
    return 1 if any(f"tests/{early}/" in path for early in ("core", "extractor", "index")) else 2


def _kills(module: object) -> bool:
    """Whether it kills a run at each of its durable steps."""
    return any(getattr(value, "__module__", None) == "tests.durable" for value in vars(module).values())


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """In memory for what kills a run at each step, where there is room: it would wait for the disk ten
    thousand times, 6 ms each, and a killed process loses nothing of what it wrote, on a disk or not."""
    if not (_kills(request.module) and MEMORY.is_dir() and disk_usage(MEMORY).free > _MEMORY_BYTES):
        yield tmp_path
        return
    with TemporaryDirectory(prefix="cinedex-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what counts things that are let go: before Python 3.12, who measures lines looks now and then at
    the variables of all frames that run, its own among them, and these stay until the collector comes by."""
    if measuring := sys.modules.get("slipcover.slipcover"):
        monkeypatch.setattr(measuring.Slipcover, "deinstrument_seen", lambda self: None, raising=False)


def lacking(says: str, variable: str, *, is_asked: bool = False) -> NoReturn:
    """Skip what needs what is not there; fail where it was named, or that variable insists on it."""
    (pytest.fail if is_asked or os.environ.get(variable) == "1" else pytest.skip)(says)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What needs a GPU skips where there is none, or fails under REQUIRE_GPU=1."""
    if item.get_closest_marker("gpu") is None:
        return
    from extractor.encoders.devices import gpu_count

    if not gpu_count():
        lacking("no GPU is found.", "REQUIRE_GPU")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--media", type=Path, help="real videos: a folder with videos.jsonl and videos/")
    parser.addoption("--vocab", type=Path, help="BERT's vocab.txt")


@pytest.fixture(scope="session")
def media(pytestconfig: pytest.Config) -> Path:
    """The folder of real videos; without one, tests on them skip, or fail where it was named or under
    REQUIRE_MEDIA=1."""
    asked: Path | None = pytestconfig.getoption("--media")
    folder = asked or pytestconfig.rootpath.parent / "shared" / "media"
    if (folder / "videos.jsonl").is_file():
        return folder
    says = f"{folder} holds no videos.jsonl; --media DIR names the folder of real videos."
    lacking(says, "REQUIRE_MEDIA", is_asked=bool(asked))


@pytest.fixture(scope="session")
def vocabulary(pytestconfig: pytest.Config) -> Path:
    """BERT's vocab.txt; without one, tests that read texts by it skip, or fail where it was named or under
    REQUIRE_VOCAB=1."""
    asked: Path | None = pytestconfig.getoption("--vocab")
    path = asked or pytestconfig.rootpath.parent / "shared" / "vocab" / "bert-base-uncased-vocab.txt"
    if path.is_file():
        return path
    lacking(f"{path} is no file; --vocab FILE names BERT's vocab.txt.", "REQUIRE_VOCAB", is_asked=bool(asked))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser; without one, tests in it skip, or fail under REQUIRE_CHROMIUM=1."""
    if browser.CHROMIUM is None:
        lacking(
            "there is no chromium in the PATH; `apt-get install chromium` brings one.", "REQUIRE_CHROMIUM"
        )
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


def plain(colour: str, seconds: float) -> Iterator[Pixels]:
    """One colour all over."""
    picture = np.full((90, 160, 3), PLAIN_COLOURS.get(colour, (244, 244, 244)), np.uint8)
    return iter([picture] * round(seconds * FPS))


def shapes(*colours: str, seconds: float = 4.0) -> PlainFilm:
    """A scene of that many seconds for each colour."""
    return PlainFilm(
        tuple(PlainScene(colour, "circle", "dark grey", "goes round", seconds) for colour in colours)
    )


def write_film(path: Path, film: PlainFilm, encoding: Encoding = LIKE) -> None:
    write_video(path, plain_frames(film, encoding.fps, 160, 90), encoding)


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good videos: red, green, blue, white (10 s of one colour), red-then-blue (4 s each, a shape on grey),
    short (0.5 s), vfr, rotated (a quarter turn), late (starts at 1.5 s), with-sound. Never write into it."""
    folder = tmp_path_factory.mktemp("videos")
    for colour in ("red", "green", "blue", "white"):
        write_video(folder / f"{colour}.mp4", plain(colour, 10), LIKE)
    write_film(folder / "red-then-blue.mp4", shapes("red", "blue"))
    write_film(folder / "short.webm", shapes("yellow", seconds=0.5), Encoding("vp9", fps=FPS))
    write_film(folder / "rotated.mp4", shapes("purple"), Encoding(fps=FPS, turn=90))
    write_film(folder / "with-sound.mkv", shapes("cyan"), Encoding(fps=FPS, audio=(Fraction(0), Fraction(4))))
    film = shapes("orange")
    irregular = [Fraction(n * n, 400) for n in range(40)]
    write_video(folder / "vfr.mkv", plain_frames(film, FPS, 160, 90), times=irregular)
    late = [Fraction(3, 2) + n / FPS for n in range(40)]
    write_video(folder / "late.mp4", plain_frames(film, FPS, 160, 90), times=late)
    return folder


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory, videos: Path) -> Path:
    """Files that are no good videos: empty.mp4, text.mp4, truncated.mp4 (no index), zeros.mp4, sound.m4a,
    playlist.m3u8 and concat.txt (which name videos), encrypted.mp4, picture.png. Never write into it."""
    folder = tmp_path_factory.mktemp("broken")
    whole = (videos / "red.mp4").read_bytes()
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("This is not a video.\n" * 50)
    (folder / "truncated.mp4").write_bytes(whole[: whole.index(b"moov") - 4])
    (folder / "zeros.mp4").write_bytes(bytes(10_000))
    (folder / "encrypted.mp4").write_bytes(whole.replace(b"avc1\0\0\0\0\0\0\0\1", b"encv\0\0\0\0\0\0\0\1"))
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    target = videos / "red.mp4"
    (folder / "playlist.m3u8").write_text(f"#EXTM3U\n#EXTINF:10,\n{target}\n")
    (folder / "concat.txt").write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    (folder / "playlist.mp4").write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    write_sound(folder / "sound.m4a", Fraction(0), Fraction(2))
    return folder
