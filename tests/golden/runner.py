"""Goldens checked: which family computes one, how far its arrays are off, and how that is told."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from zipfile import BadZipFile

import numpy as np

from core.errors import Error
from tests.golden import recipe
from tests.golden.recipe import Array, Manifest

MOST = 1e-4  # of max|a - b| / max|b|
HOLDS, OFF, USAGE, NOT_CHECKED = 0, 1, 2, 3  # exit codes
FAMILIES = {  # how a manifest's name begins, or its system: the file beside this one
    "clip2video": "clip2video",
    "mmpt": "videoclip",
    "videoclip": "videoclip",
    "s3d": "s3d",
    "videococa": "videococa",
    "misc": "misc",
    "frame choice": "misc",
    "tokenizers": "tokenizers",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """One golden: how far each array is off, which were left out, and why it could not be checked, if so."""

    name: str
    off: Mapping[str, float] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)  # missing, of another shape, of no golden's name
    left_out: Mapping[str, str] = field(default_factory=dict)  # how their names begin
    left_out_count: int = 0
    unheld: Mapping[str, float] = field(default_factory=dict)  # the same arrays, as they are made every day
    unchecked: str = ""

    @property
    def code(self) -> int:
        """Its exit code."""
        if self.wrong or not all(value <= MOST for value in self.off.values()):  # a NaN is off
            return OFF
        return NOT_CHECKED if self.unchecked else HOLDS

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.unchecked:
            yield f"{self.name}: not checked: {self.unchecked}"
            return
        yield self.name
        width = max(map(len, [*self.off, *self.wrong]), default=0)
        for name, value in self.off.items():
            yield f"  {name:{width}}  {value:.1e}{'' if value <= MOST else '  OFF'}{self._beside(name)}"
        for name, why in self.wrong.items():
            yield f"  {name:{width}}  OFF: {why}"
        for why in dict.fromkeys(self.left_out.values()):
            names = ", ".join(name for name, reason in self.left_out.items() if reason == why)
            yield f"  {names}  left out: {why}"
        for name in sorted(self.unheld.keys() - self.off.keys()):
            yield f"  {name:{width}}  not held{self._beside(name)}"

    def _beside(self, name: str) -> str:
        return f"; as extraction makes it {self.unheld[name]:.1e}" if name in self.unheld else ""


def check_folder(folder: Path, say: Callable[[str], object]) -> int:
    """Every golden in it and below, told one by one; an exit code."""
    paths = sorted(folder.rglob("*.json"))
    if not paths:
        say(f"{folder} holds no manifests, NAME.json.")
        return USAGE
    found = []
    for path in paths:
        found.append(check(path))
        say("\n".join(found[-1].lines()))
    say(summary(found))
    codes = {each.code for each in found}
    return OFF if OFF in codes else max(codes)


def check(path: Path) -> Checked:
    """One golden by its manifest. Whatever a family raises is its failure, and the next is checked."""
    try:
        manifest, stored = recipe.load(path)
    except (OSError, ValueError, BadZipFile) as error:
        return Checked(path.stem, unchecked=f"{path} is no manifest with its arrays: {error}")
    name = str(manifest.get("name", path.stem))
    module = family_of(manifest)
    if module is None:
        return Checked(name, unchecked="no family is known for it")
    if find_spec(f"tests.golden.{module}") is None:
        return Checked(name, unchecked=f"there is no tests/golden/{module}.py yet")
    try:
        return _compared(name, manifest, stored, import_module(f"tests.golden.{module}"))
    except Error as error:
        return Checked(name, wrong={"": str(error)})
    except Exception:
        return Checked(name, wrong={"": traceback.format_exc()})


def family_of(manifest: Manifest) -> str | None:
    """The file that computes it, if there is one for what it says it is."""
    for said in (manifest.get("name"), manifest.get("system")):
        for begins, module in FAMILIES.items():
            if str(said).lower().startswith(begins):
                return module
    return None


def off_by(ours: Array, expected: Array) -> float:
    """max|a - b| / max|b|; infinite where that is no number, as where something is that was to be nought, and
    where whole numbers are others."""
    if np.array_equal(ours, expected):
        return 0.0
    if expected.dtype.kind in "biu" or not expected.size:
        return float("inf")
    a, b = ours.astype(np.float64), expected.astype(np.float64)
    most, largest = float(np.abs(a - b).max()), float(np.abs(b).max())
    return most / largest if np.isfinite(most) and largest else float("inf")


def summary(found: list[Checked]) -> str:
    """The last line."""
    values = [value for each in found for value in each.off.values()]
    off = sum(not value <= MOST for value in values) + sum(len(each.wrong) for each in found)
    unchecked = sum(bool(each.unchecked) for each in found)
    worst = f", the worst {max(values):.1e}" if values else ""
    told = (
        f"{len(values)} arrays of {len(found) - unchecked} goldens{worst}; {off or 'none'} off by more than"
    )
    count = sum(each.left_out_count for each in found)
    told += f" {MOST:g}" + (f"; {count} arrays left out" if count else "")
    return told + (f"; {unchecked} goldens not checked" if unchecked else "") + "."


def needs_vocabulary() -> bool:
    """Whether it is a failure that BERT's word pieces are nowhere."""
    return os.environ.get("REQUIRE_VOCAB") == "1"


def _compared(name: str, manifest: Manifest, stored: dict[str, Array], family: ModuleType) -> Checked:
    said = getattr(family, "expected", None)
    expected: dict[str, Array] = said(manifest, stored) if said else stored
    left_out: dict[str, str] = family.left_out(manifest) if hasattr(family, "left_out") else {}
    ours: dict[str, Array] = family.outputs(manifest, expected)
    given = {key for key, spec in manifest.get("inputs", {}).items() if spec["kind"] == "stored"}
    off, wrong, count = {}, {}, 0
    for key, array in expected.items():
        if key.startswith(tuple(left_out)):
            count += 1
        elif key in given and key not in ours:
            continue
        elif key not in ours:
            wrong[key] = "was not computed"
        elif (shape := np.shape(ours[key])) != array.shape:
            wrong[key] = f"is {list(shape)}, not {list(array.shape)}"
        else:
            off[key] = off_by(np.asarray(ours[key]), array)
    wrong |= {key: "is no array of this golden" for key in ours if key not in expected}
    daily: dict[str, Array] = family.unheld(manifest, expected) if hasattr(family, "unheld") else {}
    unheld = {key: off_by(np.asarray(array), expected[key]) for key, array in daily.items()}
    return Checked(name, off, wrong, left_out, count, unheld)
