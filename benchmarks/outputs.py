"""Where figures and plots go, looked at before they are made: that may take an hour."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path


def new_file(text: str) -> Path:
    """A file that can be written, as an argument's type; its folder is there."""
    path = Path(text)
    if not text or path.is_dir():
        raise ArgumentTypeError(f"{text!r} is no name of a file")
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"{path.parent} is no folder, so {path.name} cannot be written into it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ArgumentTypeError(f"{path} cannot be written: no permission")
    return path


def new_folder(text: str) -> Path:
    """A folder that can be written into, or made."""
    path = Path(text)
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise ArgumentTypeError(f"{there} is no folder")
    if not os.access(there, os.W_OK):
        raise ArgumentTypeError(f"{there} cannot be written into: no permission")
    return path
