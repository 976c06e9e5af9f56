"""Settings: declared once, and each is a flag, an environment variable, a TOML key and a line of help.

flag > CINEDEX_NAME > the TOML file's table of the verb > its shared keys > default.
"""

from __future__ import annotations

import argparse
import errno
import io
import json
import logging
import os
import re
import select
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from core import logs
from core.collections import is_name
from core.commands import VERBS, nearest
from core.errors import Error, UsageError

PREFIX = "CINEDEX_"
DEFAULT_FILE = Path("cinedex.toml")
_FLAG_ONLY = ("weights",)  # CINEDEX_WEIGHTS is the folder of all weights, not one file of `--weights`


@dataclass(frozen=True, slots=True)
class Alone:
    """Of a flag that may stand without a value: what it means then. No environment variable sets it."""

    value: str


def _is_collection(value: str) -> str:
    if not is_name(value):
        raise ValueError("it must be one word of a path, without '/'")
    return value


def _is_encoder(value: str | None) -> str | None:
    if value == "":
        raise ValueError("it must be family:variant, or auto")
    return value


CollectionName = Annotated[str, AfterValidator(_is_collection)]
EncoderName = Annotated[str | None, AfterValidator(_is_encoder)]


class Settings(BaseSettings):
    """What every verb can be told. Made in code, it reads neither environment nor files; `load` does."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_prefix_target="all",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_exit_on_error=False,
        cli_parse_none_str="\0",  # no word that could be typed means None
    )

    MEANT: ClassVar[Mapping[str, str]] = {}  # what some flags are called elsewhere, by that name

    data: Path = Field(Path("cinedex-data"), description="the library's folder")
    config: Path | None = Field(None, description=f"a TOML file; {DEFAULT_FILE} is read where it lies")
    log_format: logs.LogFormat = Field("text", description="for people or for machines")
    quiet: bool = Field(False, description="no progress, and of the log only warnings")

    _flags: frozenset[str] = PrivateAttr(frozenset())

    def is_flag(self, name: str) -> bool:
        """Whether it stands in the command's line, meant for this call, and not in what holds for many."""
        return name in self._flags

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed; `load` passes what the other sources hold."""
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _no_empty_path(cls, value: Any, info: ValidationInfo) -> Any:
        """An unset shell variable must not become the current folder."""
        held = value if isinstance(value, (list, tuple)) else [value]
        if "" in held and _mentions(cls.model_fields[str(info.field_name)].annotation, Path):
            raise ValueError("a path must not be empty")
        return value


S = TypeVar("S", bound=Settings)


def run_verb(settings: type[S], main: Callable[[S], int], argv: list[str] | None = None, *, prog: str) -> int:
    """A whole command: settings, log, work; what a user can meet is one sentence, a bug is a traceback."""
    if sys.stdout is None:  # it was closed before
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # file names need not be text
    try:
        chosen = load(settings, sys.argv[1:] if argv is None else argv, prog=prog)
        logs.set_up(chosen.log_format, logging.WARNING if chosen.quiet else logging.INFO)
        code = main(chosen)
        sys.stdout.flush()
    except SystemExit as asked:  # --help
        if isinstance(asked.code, str):
            raise
        return asked.code or 0
    except Error as error:
        sys.stderr.write("".join(f"{prog}: {line}\n" for line in str(error).splitlines()))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if not _reader_left():
            raise
        _hush()
        return 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.stderr.write(f"{prog}: there is no room for what it says: {error.strerror}.\n")
        _hush()
        return 1
    return code


def _hush() -> None:
    """What is buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reader_left() -> bool:
    """Whether the reader of stdout is gone (`| head`), not worth a word; other broken pipes are bugs."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def load(settings: type[S], argv: list[str], *, prog: str) -> S:
    """The settings of one call, or a UsageError with a line for each mistake."""
    parser = _Flags(settings, cli_prog_name=prog, formatter_class=_Help)
    parser.root_parser.epilog = (
        f"Each is also {PREFIX}… in the environment and a key of [{_table(prog)}] in {DEFAULT_FILE}."
    )
    try:
        flags = parser.read(argv)
        environment = _Environment(settings, env_ignore_empty=True)()
        flag_only = {*_FLAG_ONLY, *_alone(settings)}
        environment = {name: value for name, value in environment.items() if name not in flag_only}
        file = flags.get("config") or environment.get("config")
        toml = _with_values(settings, _from_file(settings, file, prog))
    except SettingsError as error:
        raise UsageError(f"{str(error).removeprefix('error parsing CLI: ')}.") from error
    origins = dict.fromkeys(toml, f" in {file or DEFAULT_FILE}")
    origins |= {name: f" in {PREFIX}{name.upper()}" for name in environment}
    origins |= dict.fromkeys(flags, "")
    try:
        found = settings(**_over(_over(toml, environment), flags))
    except ValidationError as error:
        raise UsageError("\n".join(_mistakes(error, origins))) from error
    found._flags = frozenset(flags)
    return found


def _mistakes(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    lines = []
    for found in error.errors(include_url=False):
        where = ".".join(map(str, found["loc"])).replace("_", "-")
        origin = origins.get(str(found["loc"][0]) if found["loc"] else "")
        lines.append(
            f"{where}: {_said(found)}" + ("" if origin is None else f" (got {found['input']!r}{origin})")
        )
    return lines


_KINDS = {
    **dict.fromkeys(("int_parsing", "int_from_float", "int_type"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    "path_type": "a path, as a text",
}
_BOUNDS = {"greater than or equal to": "at least", "less than or equal to": "at most"}


def _said(found: Mapping[str, Any]) -> str:
    """As all other mistakes are said, and not in the library's words."""
    if found["type"] in _KINDS:
        return f"it must be {_KINDS[found['type']]}"
    what = str(found["msg"]).removeprefix("Value error, ")
    for theirs, ours in _BOUNDS.items():
        what = what.replace(f"Input should be {theirs} ", f"it must be {ours} ")
    return what.replace("Input should be ", "it must be ", 1)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the upper one winning, group by group."""
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        merged[name] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _alone(settings: type[BaseSettings]) -> dict[str, str]:
    """The flags that may stand alone, and what they mean then."""
    fields = settings.model_fields.items()
    return {name: m.value for name, field in fields for m in field.metadata if isinstance(m, Alone)}


def _with_values(settings: type[BaseSettings], toml: Mapping[str, Any]) -> dict[str, Any]:
    """In a file `true` is such a flag alone, and `false` none."""
    alone = _alone(settings)
    found = {name: alone[name] if value is True and name in alone else value for name, value in toml.items()}
    return {name: value for name, value in found.items() if not (value is False and name in alone)}


def _mentions(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_mentions(inner, wanted) for inner in get_args(annotation))


# --- the line --------------------------------------------------------------------------------------


class _Flags(CliSettingsSource[argparse.ArgumentParser]):
    """pydantic-settings' own, except that a value with a comma in it is one value: files have such names."""

    def read(self, argv: list[str]) -> dict[str, Any]:
        """The values given, by field."""
        alone = _alone(self.settings_cls)
        for action in self.root_parser._actions:
            if action.dest in alone:
                action.nargs, action.const = "?", alone[action.dest]
        parsed, left = self.root_parser.parse_known_args(argv)
        if left:
            raise UsageError(self._unknown(left[0]))
        given = {name: self._whole(name, value) for name, value in vars(parsed).items() if value is not None}
        self(parsed_args=given)
        found: dict[str, Any] = self()
        return found

    def _unknown(self, word: str) -> str:
        flag = word.partition("=")[0]
        if not flag.startswith("-"):
            return f"{word!r} is one argument too many."
        if meant := getattr(self.settings_cls, "MEANT", {}).get(flag):
            return f"no flag is called {flag!r}; did you mean {meant!r}?"
        known = [flag for action in self.root_parser._actions for flag in action.option_strings]
        return f"no flag is called {flag!r}{nearest(flag, known)}"

    def _whole(self, name: str, value: Any) -> Any:
        """Lists as JSON, since the library would part them at commas."""
        if not isinstance(value, list):
            return value
        field = self.settings_cls.model_fields.get(name)
        if field is None or get_origin(field.annotation) is not dict:
            return json.dumps(value)
        if wrong := [item for item in value if "=" not in item]:
            raise UsageError(f"{name.replace('_', '-')}: it must be NAME=VALUE (got {wrong[0]!r})")
        return json.dumps(dict(item.split("=", 1) for item in value))


class _Help(argparse.HelpFormatter):
    """A verb's own settings first, `PATH` for `tuple[Path,...]`, and no default that is nothing."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=110)

    def add_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None = None) -> None:
        named = [str(action.metavar) for action in actions if not action.option_strings]
        super().add_usage(" ".join([self._prog, "[--flag VALUE …]", *named]), (), (), prefix)

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        super().add_arguments(sorted(actions, key=lambda action: action.dest in Settings.model_fields))

    def add_argument(self, action: argparse.Action) -> None:
        if isinstance(action.metavar, str):
            action.metavar = _metavar(action.metavar)
        if action.help and action.help != argparse.SUPPRESS:
            action.help = _NO_DEFAULT.sub("", action.help)
        super().add_argument(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse.BooleanOptionalAction):
            return f"--[no-]{action.option_strings[0].removeprefix('--')}"
        return super()._format_action_invocation(action)


_NO_DEFAULT = re.compile(r" ?\(default: ?(|None|\(\)|\{\}|\[\]|\0)\)")
_LIST = re.compile(r"^(?:tuple|list|set)\[(.*?)(?:,\.\.\.)?\]$")

_SHOWN_AS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER"}


def _metavar(shown: str) -> str:
    name = _LIST.sub(r"\1", shown)
    if name.startswith("dict["):
        return "NAME=VALUE"
    if name.startswith("{"):  # choices, perhaps beside a number: {float,{high,low}}
        return f"{{{','.join(_SHOWN_AS.get(each, each) for each in re.findall(r'[^{},]+', name))}}}"
    return _SHOWN_AS.get(name, name.upper())


# --- the environment and the file ------------------------------------------------------------------


class _Environment(EnvSettingsSource):
    """A list may be one plain value, or JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith(("[", "{")):
            return [value]
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError as error:
            variable = PREFIX + field_name.upper()
            raise UsageError(f"{variable} is neither one value nor JSON: {error} (got {value!r})") from error


def _table(prog: str) -> str:
    return prog.removeprefix("cinedex ").replace(" ", ".")


def _from_file(settings: type[Settings], file: str | None, prog: str) -> dict[str, Any]:
    path = Path(file) if file else DEFAULT_FILE
    if not file and not path.exists():
        return {}
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    except RecursionError as error:
        raise UsageError(f"{path} is no settings file: it is nested too deeply.") from error
    return _pick(settings, held, path, _table(prog).split("."))


def _pick(settings: type[Settings], held: dict[str, Any], path: Path, table: list[str]) -> dict[str, Any]:
    """The shared keys at the top, then the verb's own table; whatever nobody would read is refused."""
    _refuse(path, "verb", [k for k, v in held.items() if isinstance(v, dict)], list(VERBS))
    shared = {k: v for k, v in held.items() if not isinstance(v, dict)}
    found = _known(path, shared, _names(Settings))
    inner: Any = held.get(table[0], {})
    if len(table) > 1:
        verbs = VERBS[table[0]].inner
        _refuse(path, f"verb of {table[0]}", list(inner), list(verbs))
        inner = inner.get(table[1], {})
    return found | _known(path, inner, _names(settings))


def _known(path: Path, held: Any, names: list[str]) -> dict[str, Any]:
    if not isinstance(held, dict):
        raise UsageError(f"{path}: a verb's settings are a table (got {held!r})")
    found = {key.replace("-", "_"): value for key, value in held.items()}
    _refuse(path, "setting", list(found), [name for name in names if name != "config"])
    return found


def _names(settings: type[Settings]) -> list[str]:
    """What its settings are called outside the code: a field `json` would hide a method of pydantic's."""
    return [field.alias or name for name, field in settings.model_fields.items()]


def _refuse(path: Path, what: str, found: list[str], known: list[str]) -> None:
    for name in found:
        if name not in known:
            raise UsageError(f"{path}: no {what} is called {name!r}{nearest(name, known)}")
