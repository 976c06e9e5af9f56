"""`cinedex keys`: create, list, revoke. Who may ask the server, and until when."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import CliPositionalArg

from core.commands import Inner, hand_on
from core.config import Settings, run_verb
from server import keys
from server.keys import Key, KeysFile, Scope

log = logging.getLogger(__name__)
_HEAD = ("id", "name", "scope", "created", "expires")


class KeysSettings(Settings):
    """Which keys."""

    keys_file: Path | None = Field(None, description="the file to keep them in; else DATA/keys.json")


class CreateSettings(KeysSettings):
    """Make a key and print it: this is the only time that it can be seen."""

    name: CliPositionalArg[str] = Field(description="what it is for: laptop, nightly-job")
    scope: Scope = Field("read", description="read: to ask; admin: to change something as well")
    days: int | None = Field(None, ge=1, le=36_500, description="it ends after so many; else never")


class ListSettings(KeysSettings):
    """Show the keys that there are, without their secrets."""

    json_output: bool = Field(False, alias="json", description="one JSON object instead of a table")


class RevokeSettings(KeysSettings):
    """Take a key away; running servers know within a second or two."""

    key: CliPositionalArg[str] = Field(description="its id or its name")


def main(argv: list[str] | None = None) -> int:
    """Hand the rest of the line to the verb that is named first."""
    return hand_on("keys", COMMANDS, argv)


def _file(settings: KeysSettings) -> KeysFile:
    return KeysFile(settings.keys_file or settings.data / keys.FILE)


def _create(settings: CreateSettings) -> int:
    expires = None
    if settings.days is not None:
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=settings.days)
    key, text = keys.make(settings.name, settings.scope, expires)
    _file(settings).add(key)
    sys.stdout.write(text + "\n")
    log.info("key made, and shown this once id=%s name=%s scope=%s", key.id, key.name, key.scope)
    return 0


def _list(settings: ListSettings) -> int:
    held = _file(settings).read() or ()
    if settings.json_output:
        found = [keys.shown_key(key) | {"expired": key.is_over()} for key in held]
        sys.stdout.write(json.dumps({"keys": found}, indent=1) + "\n")
    else:
        sys.stdout.write(_table(held))
    return 0


def _revoke(settings: RevokeSettings) -> int:
    key = _file(settings).remove(settings.key)
    log.info("key revoked id=%s name=%s", key.id, key.name)
    return 0


def _table(held: Sequence[Key]) -> str:
    lines = [_HEAD, *(_cells(key) for key in held)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


def _cells(key: Key) -> tuple[str, ...]:
    found = {name: value or "never" for name, value in keys.shown_key(key).items()}
    over = " (over)" if key.is_over() else ""
    return tuple(found[name] + (over if name == "expires" else "") for name in _HEAD)


def _command(name: str, settings: type[Any], work: Callable[[Any], int], says: str) -> Inner:
    return Inner(partial(run_verb, settings, work, prog=f"cinedex keys {name}"), says)


COMMANDS = {
    "create": _command("create", CreateSettings, _create, "make a key; it is printed once"),
    "list": _command("list", ListSettings, _list, "the keys that there are"),
    "revoke": _command("revoke", RevokeSettings, _revoke, "take a key away, by id or name"),
}
