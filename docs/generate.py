"""`make docs`: write the pages that are made from code. tests/test_docs.py fails while they are stale."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from core.commands import VERBS, main
from server.app import openapi_text

DOCS = Path(__file__).parent

HEAD = """# Settings

Made by `make docs` from the commands' own `--help`. How a setting is given:
[operations.md](operations.md).
"""


def settings_page() -> str:
    """Every verb's --help."""
    return HEAD + "".join(f"\n## {name}\n\n```\n{text}```\n" for name, text in _helps())


def _helps() -> Iterator[tuple[str, str]]:
    for name, verb in VERBS.items():
        for words in [[name, inner] for inner in verb.inner] or [[name]]:
            shown = io.StringIO()
            with redirect_stdout(shown):
                main([*words, "--help"])
            yield " ".join(words), shown.getvalue()


PAGES = {"settings.md": settings_page, "openapi.json": openapi_text}


def write() -> None:
    """Write each page that has changed."""
    for name, make in PAGES.items():
        text = make()
        if not (DOCS / name).exists() or (DOCS / name).read_text() != text:
            (DOCS / name).write_text(text)
            sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    write()
