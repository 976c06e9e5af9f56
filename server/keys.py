"""API keys: made once, kept in a file as hashes, and known again.

A key is `cdx_<id>_<secret>`. The secret has 256 random bits, which nobody can guess however fast a hash is,
so one without salt or cost is right: a slow one would slow down each request and protect nothing. What a
browser's cookie holds is one hash away from the secret and one from what the file holds: of the file alone
neither can be made, and of the cookie no key.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from core import files
from core.errors import StoreError, UsageError

Scope = Literal["read", "admin"]
FILE = "keys.json"
FORMAT = 1
_KEY = re.compile(r"cdx_([0-9a-f]{8})_([0-9a-f]{64})")
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{8}")
_NAME = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Key:
    """Who may ask for what, and until when; not the key itself."""

    id: str
    name: str
    scope: Scope
    created: datetime
    expires: datetime | None
    hash: str  # of the session's token

    def is_over(self) -> bool:
        return self.expires is not None and datetime.now(UTC) >= self.expires


def make(name: str, scope: Scope, expires: datetime | None) -> tuple[Key, str]:
    """A new key, and the text of it that only its owner has from then on."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"name: {name!r} must be 1 to 64 letters, digits and . _ @ -.")
    id, secret = secrets.token_hex(4), secrets.token_hex(32)
    created = datetime.now(UTC).replace(microsecond=0)
    return Key(id, name, scope, created, expires, token_hash(session_token(secret))), f"cdx_{id}_{secret}"


def parse(text: str) -> tuple[str, str] | None:
    """The id and the secret of what looks like a key."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def session_token(secret: str) -> str:
    """What a session shows instead of the key: whoever has it cannot make the key of it."""
    return hmac.digest(secret.encode(), b"cinedex session", "sha256").hex()


def token_hash(token: str) -> str:
    """What the file keeps: whoever has it cannot make the token of it."""
    return sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KeysFile:
    """`keys.json`: replaced whole, by one command at a time. A new one is for its owner's eyes only; one that
    is there stays whose it is, and for whom: a server may run as somebody else."""

    path: Path

    def read(self, *, must_be: bool = False) -> tuple[Key, ...] | None:
        """The keys, or None where there is no file, or one that says that none are meant. must_be: no file is
        an Error."""
        with files.reading(self.path):
            try:
                data = self.path.read_bytes()
            except FileNotFoundError as error:
                if not must_be:
                    return None
                raise StoreError(
                    f"{self.path} is not there; `cinedex keys create --keys-file` makes it."
                ) from error
        try:
            return _keys(json.loads(data))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else error
            raise StoreError(f"{self.path} is damaged: {why}.") from error

    def add(self, key: Key) -> None:
        """One more; its name must be a new one."""
        with files.writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            held = self.read() or ()
            if key.name in [each.name for each in held]:
                raise UsageError(
                    f"name: a key is called {key.name!r} already; revoke it first, or take another."
                )
            self._write([*held, key])

    def remove(self, word: str) -> Key:
        """Take away the key of that id or name."""
        missing = UsageError(f"{self.path} has no key {word!r}; `cinedex keys list` shows those there are.")
        if not self.path.exists():
            raise missing
        with self._locked():
            held = self.read() or ()
            found = next((key for key in held if word in (key.id, key.name)), None)
            if found is None:
                raise missing
            self._write([key for key in held if key is not found])
        return found

    def _locked(self) -> AbstractContextManager[None]:
        return files.locked(self.path.with_name(f"{self.path.name}.lock"))

    def _write(self, keys: Sequence[Key]) -> None:
        held = {"format": FORMAT, "keys": [shown_key(key) | {"hash": key.hash} for key in keys]}
        files.replace_text(self.path, json.dumps(held, indent=1) + "\n", 0o600, keeps=True)


def shown_key(key: Key) -> dict[str, str | None]:
    """A key for people and programs, without its hash."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "created": _iso(key.created),
        "expires": None if key.expires is None else _iso(key.expires),
    }


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _keys(held: Any) -> tuple[Key, ...] | None:
    """What is not understood is damage: to pass over it could let somebody in."""
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise ValueError(f"it must be an object of format {FORMAT}")
    if held["keys"] is None:
        return None
    keys = tuple(_key(each) for each in held["keys"])
    for what in ("id", "name"):
        if len({getattr(key, what) for key in keys}) < len(keys):
            raise ValueError(f"two keys have the same {what}")
    return keys


def _key(held: Any) -> Key:
    for what, form in (("id", _ID), ("hash", _HASH), ("name", _NAME)):
        if not isinstance(held[what], str) or not form.fullmatch(held[what]):
            raise ValueError(f"{what} of a key is no {what}")
    if held["scope"] not in get_args(Scope):
        raise ValueError(f"the scope of {held['name']} is neither read nor admin")
    expires = held["expires"]
    until = None if expires is None else _time(expires)
    return Key(held["id"], held["name"], held["scope"], _time(held["created"]), until, held["hash"])


def _time(text: Any) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} names no zone")
    return found
