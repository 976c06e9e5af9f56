from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import CliPositionalArg

from core.config import Alone, Settings, load, run_verb
from core.errors import Error, StoreError, UsageError


class Limits(BaseModel, frozen=True):
    seconds: float = 1.0
    rows: int = 10


class Example(Settings):
    """What the example does."""

    workers: int = Field(1, ge=1, description="processes")
    fps: float | None = Field(None, gt=0, description="pictures a second")
    clip_seconds: float = Field(8.0, description="a clip's length")
    videos: tuple[Path, ...] = Field((), description="folders or files")
    media: dict[str, Path] = Field({}, description="where roots lie")
    prune: Literal["no", "yes", "force"] = Field("no", description="forget what has gone")
    limits: Limits = Limits()
    json_output: bool = Field(False, alias="json", description="as JSON")
    words: CliPositionalArg[tuple[str, ...]] = Field((), description="words")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(*argv: str) -> Example:
    return load(Example, list(argv), prog="extract")


def refused(*argv: str) -> str:
    with pytest.raises(UsageError) as caught:
        made(*argv)
    return str(caught.value)


def test_without_anything_said_the_defaults_hold() -> None:
    assert made() == Example()
    assert made().data == Path("cinedex-data")


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert made().workers == 1
    Path("cinedex.toml").write_text("[extract]\nworkers = 2\n")
    assert made().workers == 2
    monkeypatch.setenv("CINEDEX_WORKERS", "3")
    assert made().workers == 3
    assert made("--workers", "4").workers == 4


def test_a_shared_key_stands_at_the_top_of_the_file_and_a_verb_overrides_it() -> None:
    Path("cinedex.toml").write_text(
        'data = "a"\nlog-format = "json"\n[extract]\ndata = "b"\n[search]\nx = 1\n'
    )
    chosen = made()
    assert (chosen.data, chosen.log_format) == (Path("b"), "json")


def test_a_file_is_named_by_flag_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.toml").write_text("[extract]\nclip-seconds = 2\n")
    Path("b.toml").write_text("[extract]\nclip_seconds = 3\n")
    assert made("--config", "a.toml").clip_seconds == 2
    monkeypatch.setenv("CINEDEX_CONFIG", "b.toml")
    assert made().clip_seconds == 3
    assert made("--config=a.toml").clip_seconds == 2


def test_a_verb_within_a_verb_has_a_table_within_a_table() -> None:
    Path("cinedex.toml").write_text("[index.build]\nworkers = 5\n")
    assert load(Example, [], prog="cinedex index build").workers == 5
    assert load(Example, [], prog="cinedex index check").workers == 1


def test_settings_are_frozen_and_made_in_code_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WORKERS", "9")
    Path("cinedex.toml").write_text("[extract]\nfps = 9\n")
    chosen = Example(fps=2)
    assert (chosen.workers, chosen.fps) == (1, 2)
    with pytest.raises(ValidationError):
        chosen.workers = 2  # type: ignore[misc]  # that it is refused is the point


def test_values_with_commas_and_brackets_stay_whole() -> None:
    chosen = made("--videos", "lock, stock.mp4", "--videos", "[rec].mkv", "a,b", '"c"', "--media", "x=/a,b=c")
    assert chosen.videos == (Path("lock, stock.mp4"), Path("[rec].mkv"))
    assert chosen.words == ("a,b", '"c"')
    assert chosen.media == {"x": Path("/a,b=c")}


def test_words_that_look_like_nothing_or_like_flags_can_be_said() -> None:
    assert made("None", "null", "-5").words == ("None", "null", "-5")
    assert made("--", "--workers").words == ("--workers",)


def test_an_environment_list_is_one_value_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_VIDEOS", "a,b")
    assert made().videos == (Path("a,b"),)
    monkeypatch.setenv("CINEDEX_VIDEOS", '["a", "b"]')
    assert made().videos == (Path("a"), Path("b"))
    monkeypatch.setenv("CINEDEX_VIDEOS", "[a")
    assert refused().startswith("CINEDEX_VIDEOS is neither one value nor JSON: ")


def test_an_empty_variable_is_no_variable_and_an_empty_path_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_DATA", "")
    assert made().data == Path("cinedex-data")
    assert refused("--data", "") == "data: a path must not be empty (got '')"
    assert refused("--videos", "") == "videos: a path must not be empty (got [''])"


def test_a_setting_with_another_name_outside_has_it_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made("--json").json_output
    monkeypatch.setenv("JSON", "1")
    assert not made().json_output
    Path("cinedex.toml").write_text("[extract]\njson = true\n")
    assert made().json_output
    monkeypatch.setenv("CINEDEX_JSON", "0")
    assert not made().json_output
    assert made("--json").json_output
    assert Example(json=True).json_output
    monkeypatch.setenv("CINEDEX_JSON", "x")
    assert refused().endswith("(got 'x' in CINEDEX_JSON)")


def test_groups_of_settings_merge_field_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cinedex.toml").write_text("[extract.limits]\nseconds = 2\nrows = 3\n")
    monkeypatch.setenv("CINEDEX_LIMITS__ROWS", "4")
    assert made().limits == Limits(seconds=2, rows=4)
    assert made("--limits.seconds", "5").limits == Limits(seconds=5, rows=4)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--workers", "-1"], "workers: it must be at least 1 (got '-1')"),
        (["--fps", "0"], "fps: it must be greater than 0 (got '0')"),
        (["--prune", "ye"], "prune: it must be 'no', 'yes' or 'force' (got 'ye')"),
        (["--worker", "1"], "no flag is called '--worker'; did you mean '--workers'?"),
        (["--zzz=1"], "no flag is called '--zzz'."),
        (["--workers"], "argument --workers: expected one argument."),
        (["--media", "x"], "media: it must be NAME=VALUE (got 'x')"),
        (["--workers", "1.5"], "workers: it must be a whole number (got '1.5')"),
        (["--clip-seconds", "a"], "clip-seconds: it must be a number (got 'a')"),
    ],
)
def test_a_mistake_on_the_line_is_one_sentence(argv: list[str], sentence: str) -> None:
    assert refused(*argv).startswith(sentence)


def test_two_mistakes_are_two_lines() -> None:
    assert refused("--workers", "0", "--fps", "0").count("\n") == 1


def test_a_mistake_elsewhere_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("cinedex.toml").write_text("[extract]\nfps = -1\n")
    assert refused() == "fps: it must be greater than 0 (got -1 in cinedex.toml)"
    monkeypatch.setenv("CINEDEX_FPS", "x")
    assert "(got 'x' in CINEDEX_FPS)" in refused()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[extract]\nclip_secs = 1",
            "cinedex.toml: no setting is called 'clip_secs'; did you mean 'clip_seconds'?",
        ),
        ("workers = 1", "cinedex.toml: no setting is called 'workers'."),
        ("[extarct]\nfps = 1", "cinedex.toml: no verb is called 'extarct'; did you mean 'extract'?"),
        ("[extract]\nconfig = 'x'", "cinedex.toml: no setting is called 'config'."),
        ("[index.biuld]\nx = 1", "cinedex.toml: no verb of index is called 'biuld'; did you mean 'build'?"),
        ("extract = 1", "cinedex.toml: no setting is called 'extract'."),
        ("[index]\nbuild = 1", "cinedex.toml: a verb's settings are a table (got 1)"),
        ("data = 3", "data: it must be a path, as a text (got 3 in cinedex.toml)"),
        ("a = ", "cinedex.toml is not TOML: "),
        ("a = " + "[" * 100_000, "cinedex.toml is no settings file: it is nested too deeply."),
    ],
)
def test_what_nobody_would_read_in_the_file_is_refused_by_name(text: str, sentence: str) -> None:
    Path("cinedex.toml").write_text(text)
    prog = "cinedex index build" if "index" in text else "extract"
    with pytest.raises(UsageError) as caught:
        load(Example, [], prog=prog)
    assert str(caught.value).startswith(sentence)


def test_a_file_that_is_named_must_be_there() -> None:
    assert refused("--config", "no.toml") == "no.toml cannot be read: No such file or directory."


def ran(main: Callable[[Example], int], *argv: str) -> int:
    return run_verb(Example, main, list(argv), prog="extract")


def test_run_gives_the_settings_and_returns_the_code() -> None:
    assert ran(lambda chosen: chosen.workers, "--workers", "3") == 3


def test_help_has_a_line_for_each_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(lambda _: 1, "--help") == 0
    shown = capsys.readouterr().out
    assert "What the example does." in shown
    assert re.search(r"^  --workers NUMBER +processes \(default: 1\)$", shown, re.MULTILINE)
    assert "--videos PATH" in shown and "NAME=VALUE" in shown
    assert "(default: )" not in shown and "\0" not in shown
    assert shown.index("--workers") < shown.index("--data")
    assert "[extract] in cinedex.toml" in shown


def test_a_mistake_is_named_after_the_command_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(lambda _: 0, "--workers", "0", "--fps", "0") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("extract: ") for line in lines)


def _raise(error: BaseException) -> Callable[[Example], int]:
    def main(_: Example) -> int:
        raise error

    return main


@pytest.mark.parametrize("error", [Error("No."), StoreError("a is not a store."), UsageError("No.")])
def test_what_a_user_can_meet_is_one_sentence(error: Error, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(_raise(error)) == error.exit_code
    assert capsys.readouterr().err == f"extract: {error}\n"


def test_what_a_full_disk_does_not_take_is_said_in_one_sentence() -> None:
    program = (
        "import sys; from core.config import Settings, run_verb\n"
        "def main(settings): sys.stdout.write('told'); return 0\n"
        "sys.exit(run_verb(Settings, main, [], prog='tell'))"
    )
    with open("/dev/full", "w") as full:
        said = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (said.returncode, said.stderr) == (
        1,
        "tell: there is no room for what it says: No space left on device.\n",
    )
    closed = subprocess.run(["sh", "-c", '"$0" -c "$1" >&-', sys.executable, program], stderr=subprocess.PIPE)
    assert (closed.returncode, closed.stderr) == (0, b"")


def test_an_interrupt_exits_130_and_a_bug_keeps_its_traceback() -> None:
    assert ran(_raise(KeyboardInterrupt())) == 130
    with pytest.raises(ZeroDivisionError):
        ran(_raise(ZeroDivisionError()))
    with pytest.raises(BrokenPipeError):  # of something else than stdout
        ran(_raise(BrokenPipeError()))


def test_a_reader_that_left_is_not_worth_a_word() -> None:
    code = (
        "import sys; from core.config import Settings, run_verb\n"
        "def main(_):\n"
        "    while True: sys.stdout.write('x' * 9999)\n"
        "sys.exit(run_verb(Settings, main, [], prog='x'))"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 141


class Checked(Settings):
    """What a flag with or without a value does."""

    share: Annotated[float | None, Alone("0.95")] = Field(None, gt=0, le=1, description="of all")
    files: bool = Field(False, description="also these")


def test_a_flag_that_may_stand_alone_takes_a_value_or_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(*argv: str) -> float | None:
        return load(Checked, [*argv], prog="cinedex index check").share

    assert share() is None
    assert share("--share") == share("--share", "--files") == share("--files", "--share") == 0.95
    assert share("--share", "0.5") == share("--share=0.5", "--files") == 0.5
    for wrong in ("2", "0", "many"):
        with pytest.raises(UsageError, match=r"^share: "):
            share("--share", wrong)
    monkeypatch.setenv("CINEDEX_SHARE", "0.7")  # may be meant for another verb, where it is a plain number
    assert share() is None
    for told, meant in (("true", 0.95), ("false", None), ("0.8", 0.8)):
        Path("cinedex.toml").write_text(f"[index.check]\nshare = {told}\n")
        assert share() == meant
        assert share("--share", "0.6") == 0.6
