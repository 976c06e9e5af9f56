"""Whatever a setting is given that it cannot be: one sentence, exit 2, and nothing is made."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from core.commands import VERBS, main
from core.config import Settings

HARMLESS = ("config", "log_format", "quiet")  # of every verb; tests/core/test_config.py has them


def kinds(annotation: Any) -> set[Any]:
    """The plain types, and Literals, that a value may be of."""
    args = get_args(annotation)
    if not args or get_origin(annotation).__class__.__name__ == "_LiteralSpecialForm":
        return {annotation}
    return set().union(*map(kinds, args))


MAY_BE_NOUGHT = {
    *("random-weights", "seed", "skip-still", "workers", "decoders", "nice", "port", "age-s", "dead"),
    *("max-concurrent", "max-waiting", "max-decoding", "least-cosine", "min-score", "min-confidence"),
    *("cache-mb", "start"),
}
BELOW = {"least-cosine": "-2", "min-score": "-1e305"}  # of what may be below nought


def bad_numbers(flag: str) -> list[str]:
    """Out of the bounds that every number has on both sides."""
    return [BELOW.get(flag, "-1"), "1e305", "9" * 30, *([] if flag in MAY_BE_NOUGHT else ["0"])]


def bad_values(field: FieldInfo) -> list[str]:
    found = kinds(field.annotation)
    if float in found:
        return ["many", "nan", "inf", "-inf", "1e999", ""]
    if bool in found:
        return ["maybe", "2"]
    if int in found:
        return ["many", "1.5", "nan", "9" * 30 + "x", ""]
    if Path in found:
        return [""]
    return ["no-such-choice"] if str not in found else []


def settings_of(verb: str) -> Iterator[tuple[list[str], type[Settings]]]:
    """Each line that a verb has, and the class that says what may stand in it."""
    module = import_module(VERBS[verb].target.partition(":")[0])
    found = {
        name.removesuffix("Settings").lower(): each
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, Settings) and each is not Settings
    }
    if inner := VERBS[verb].inner:
        yield from (([verb, name], found[name]) for name in inner)
    else:
        (settings,) = found.values()
        yield [verb], settings


def cases() -> Iterator[tuple[list[str], list[str], str, str]]:
    """The verb, what it cannot do without, a flag and a value."""
    for verb in VERBS:
        for words, settings in settings_of(verb):
            needed = ["1" for field in settings.model_fields.values() if field.is_required()]
            for name, field in settings.model_fields.items():
                is_flag = not any("CliPositional" in str(each) for each in field.metadata)
                if name not in HARMLESS and is_flag:
                    flag = (field.alias or name).replace("_", "-")
                    numbers = bad_numbers(flag) if {int, float} & kinds(field.annotation) else []
                    yield from ((words, needed, flag, value) for value in bad_values(field) + numbers)


CASES = list(cases())


def test_every_verb_has_settings_to_be_wrong_about() -> None:
    assert {words[0] for words, *_ in CASES} == set(VERBS)
    assert len(CASES) > 150


@pytest.mark.parametrize("verb", VERBS)
def test_a_value_that_cannot_be_is_one_sentence_and_nothing_is_made(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, needed, flag, value in (case for case in CASES if case[0][0] == verb):
        code = main([*words, *needed, f"--{flag}={value}"])
        told = capsys.readouterr()
        assert (code, told.out) == (2, ""), (words, flag, value, told)
        first, *rest = told.err.splitlines()
        assert not [line for line in rest if flag in line], told.err
        assert first.startswith(f"cinedex {' '.join(words)}: " if verb != "extract" else "extract: "), (
            told.err
        )
        assert flag in told.err and "Traceback" not in told.err
        assert list(tmp_path.iterdir()) == []
