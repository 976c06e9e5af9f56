"""Every golden holds: the tiny ones in `data`, and all that lie beside the repository in the slow suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import recipe, s3d
from tests.golden.runner import Checked, check

HERE = Path(__file__).parent
TINY = sorted((HERE / "data").glob("*.json"))
SHARED = HERE.parents[2] / "shared" / "golden"
FULL = sorted(SHARED.glob("*.json"))


def require(found: Checked) -> None:
    assert not found.unchecked, found.unchecked
    assert found.off and found.code == 0, "\n".join(found.lines())


@pytest.mark.parametrize("path", TINY, ids=lambda path: path.stem)
def test_a_tiny_golden_holds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_VOCAB", raising=False)
    require(check(path))


@pytest.mark.parametrize("path", TINY, ids=lambda path: path.stem)
def test_a_golden_is_of_other_code_than_this_project(path: Path) -> None:
    assert "this project" not in str(recipe.load(path)[0].get("system"))


def test_what_needs_the_vocabulary_holds(vocabulary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_VOCAB", str(vocabulary))
    found = check(HERE / "data" / "tokenizers.json")
    require(found)
    assert found.left_out == {} and {"bert_ids", "videoclip_caps"} <= set(found.off)


@pytest.mark.slow
@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_golden_beside_the_repository_holds(
    path: Path, vocabulary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CINEDEX_VOCAB", str(vocabulary))
    require(found := check(path))
    if s3d.unlike() in found.left_out.values():
        pytest.skip(s3d.unlike())
