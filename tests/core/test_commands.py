from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import core
from core.commands import VERBS, Verb, main


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cinedex {core.__version__}\n"


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb_with_a_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown and verb.says in shown for name, verb in VERBS.items())


def test_an_unknown_verb_is_one_sentence_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serach"]) == 2
    assert capsys.readouterr().err == "cinedex: no verb is called 'serach'; did you mean 'search'?\n"
    assert main(["zzz"]) == 2
    assert capsys.readouterr().err == "cinedex: no verb is called 'zzz'.\n"


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_verb_is_a_function_that_shows_its_help(verb: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(name for name, held in VERBS.items() if held is verb)
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: ")
    for inner in VERBS[name].inner:
        assert main([name, inner, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: cinedex {name} {inner} ")


def test_the_table_names_functions_that_exist() -> None:
    for verb in VERBS.values():
        module, _, function = verb.target.partition(":")
        assert callable(getattr(import_module(module), function))


def test_an_interrupted_import_is_an_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(VERBS, "slow", Verb("slow_to_import:main", ""))
    assert main(["slow"]) == 130


def test_sigterm_ends_whatever_verb_has_no_answer_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import sys, time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    code = (
        "import sys; from core import commands\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "commands.VERBS['endless'] = commands.Verb('endless:main', '')\n"
        "sys.exit(commands.main(['endless']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        process.terminate()
        assert process.wait(timeout=60) == 130


def test_help_imports_none_of_the_heavy_things() -> None:
    code = (
        "import sys; from core.commands import main; main(['--help'])\n"
        "heavy = {'torch', 'faiss', 'av', 'numpy', 'pyarrow', 'pydantic', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_lies_in_the_folder_it_is_called_in_is_not_run(tmp_path: Path, videos: Path) -> None:
    """By the processes that it starts: who looks through an archive may stand in it."""
    script, here = tmp_path / "bin" / "extract", tmp_path / "here"
    script.parent.mkdir()
    here.mkdir()
    script.write_text(
        "import sys; from core.commands import extract\nif __name__ == '__main__': sys.exit(extract())\n"
    )
    for name in ("dis", "random", "torch"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nraise SystemExit\n")
    flags = ["--data", str(tmp_path / "data"), "--encoder", "toy:rgb", "--workers", "1"]
    line = [sys.executable, str(script), "--videos", str(videos / "red.mp4"), *flags]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    told = subprocess.run(line, cwd=here, env=plain, capture_output=True, text=True)
    assert (told.returncode, (tmp_path / "sprung").exists()) == (0, False), told.stderr
