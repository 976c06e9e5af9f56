"""`make demo`, in a checkout without weights, and in one with some that have hardly begun to learn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo import MOTION, OUTSIDE, STARTER, Asked, chosen
from extractor.encoders import NOTICES, shipped
from tests.server.test_command_open import descendants, is_there
from tests.server.worlds import until
from tests.training.begun import motion_released, released

ROOT = Path(__file__).parents[1]
ENCODERS = Path("extractor/encoders")
NO_LINKS = ("shipped", "__pycache__", "build", "cinedex-data")


def checkout(folder: Path, weights: Path | None = None) -> Path:
    """This one, with those weights in its package, and no others."""
    (folder / ENCODERS).mkdir(parents=True)
    for part in (Path(), ENCODERS.parent, ENCODERS):
        for path in (ROOT / part).iterdir():
            if path.name not in NO_LINKS and not (folder / part / path.name).exists():
                (folder / part / path.name).symlink_to(path)
    if weights is not None:
        (folder / ENCODERS / "shipped").symlink_to(weights)
    return folder


def environment(checkout: Path, **more: str) -> dict[str, str]:
    held = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    return held | {"PYTHONPATH": str(checkout)} | more


def demo(checkout: Path, **more: str) -> str:
    """What it prints when it ends by itself."""
    done = subprocess.run(
        [sys.executable, "examples/demo.py"],
        capture_output=True,
        text=True,
        env=environment(checkout, DEMO_EXIT="1", **more),
        stdin=subprocess.DEVNULL,
        cwd=checkout,
    )
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:" in done.stdout
    return done.stdout


def test_it_answers_and_can_be_run_again(tmp_path: Path) -> None:
    plain = checkout(tmp_path / "checkout")
    for _ in range(2):
        said = demo(plain)
        answers = said.partition("\nred  (")[2].splitlines()
        assert all("sample-01.mp4" in line or "sample-05.mp4" in line for line in answers[1:3])
        assert "--encoder toy:rgb" in said and STARTER not in said


@pytest.mark.parametrize(
    "knows_motion", [pytest.param(False, id="starter"), pytest.param(True, id="both", marks=pytest.mark.slow)]
)
def test_weights_in_the_package_are_taken_and_each_answer_is_held_to_what_is_true(
    tmp_path: Path, knows_motion: bool
) -> None:
    (motion_released if knows_motion else released)(tmp_path / "shipped")
    said = demo(checkout(tmp_path / "checkout", tmp_path / "shipped"), DEMO_SECONDS="16")
    asked = chosen(tmp_path / "checkout/build/demo/world/videos/films")
    assert 3 <= len(asked) <= 5
    right = 0
    for each in asked:
        answers = said.partition(f"\n{each.text}  (")[2].partition("\n\n")[0].splitlines()
        assert answers[-1] in (f"  {verdict}: it is {each.expected}" for verdict in ("right", "wrong"))
        right += answers[-1].startswith("  right")
        hits = [line for line in answers if "best at" in line]
        is_first = each.video in hits[0] and each.start <= seconds(hits[0]) < each.end
        assert is_first == answers[-1].startswith("  right")
    assert f"\n{right} of {len(asked)} at the right second.\n" in said
    assert f"\n{OUTSIDE}  (" in said and NOTICES[STARTER] in said
    for encoder in (STARTER, MOTION):
        tally = re.search(rf"^  {encoder} +\d of 8 right$", said, re.MULTILINE)
        example = re.search(rf"^  {encoder} +\d\.00 s to +\d\.\d\d s: (right|wrong)$", said, re.MULTILINE)
        assert (tally is not None) == (example is not None) == knows_motion


def seconds(line: str) -> float:
    """That an answer is best at."""
    return float(line.partition("best at")[2].partition(" s")[0])


@pytest.mark.slow
@pytest.mark.skipif(STARTER not in shipped(), reason="it is not trained yet")
def test_what_ships_finds_the_right_seconds_and_refuses_what_is_not_there(tmp_path: Path) -> None:
    said = demo(ROOT, DEMO_FOLDER=str(tmp_path))
    right = int(said.partition(" of 5 at the right second.")[0][-1])
    assert right >= 3
    assert said.partition(f"\n{OUTSIDE}  (")[2].splitlines()[1] == "  no confident match"
    if MOTION in shipped():
        which = {name: int(count) for name, count in re.findall(r"^  (\S+) +(\d) of 8", said, re.MULTILINE)}
        assert which[MOTION] >= 7 and which[STARTER] < which[MOTION]


def test_only_sentences_with_one_answer_are_asked(tmp_path: Path) -> None:
    lines = ["query,video,start,end", "a red star,a.mp4,0,4", "a bar,a.mp4,0,4", "a bar,b.mp4,4,8"]
    lines += [f"{'very ' * 12}long,b.mp4,4,8", '"a ring, at night",b.mp4,4,8.5']
    (tmp_path / "queries.csv").write_text("\n".join(lines) + "\n")
    assert [(each.text, each.start, each.end) for each in chosen(tmp_path)] == [
        ("a red star", 0, 4),
        ("a ring, at night", 4, 8.5),
    ]


@pytest.mark.parametrize(
    ("start", "end", "is_right"), [(0, 4, True), (1, 5, True), (2, 6, False), (0, 8.5, False), (4, 8, False)]
)
def test_a_clip_is_right_that_is_mostly_those_seconds(start: float, end: float, is_right: bool) -> None:
    asked = Asked("a star goes left", "videos/turns/turn-1.mp4", 0.0, 4.0)
    assert asked.is_most_of({"path": asked.video, "start": start, "end": end}) == is_right
    assert not asked.is_most_of({"path": "videos/turns/turn-2.mp4", "start": start, "end": end})


@pytest.mark.parametrize(
    ("number", "while_it", "code"),
    [
        pytest.param(signal.SIGINT, "$ extract", 130, id="interrupted"),
        pytest.param(signal.SIGTERM, "Ctrl-C stops it.", 143, id="told-to-end"),
    ],
)
def test_it_ends_with_all_that_it_has_started(tmp_path: Path, number: int, while_it: str, code: int) -> None:
    plain = checkout(tmp_path / "checkout")
    process = subprocess.Popen(
        [sys.executable, "examples/demo.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(plain),
        stdin=subprocess.DEVNULL,
        cwd=plain,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if while_it in line:
            break
    until(lambda: bool(descendants(process.pid)))
    pids = descendants(process.pid)
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == code and "Traceback" not in errors, errors
    until(lambda: not [pid for pid in pids if is_there(pid)])
