"""A newer version in place of the one that runs, and back, as docs/operations.md says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import core
from tests.docker.conftest import Image
from tests.docker.deployment import Deployment, until
from tests.docker.engine import Engine
from tests.docker.test_image import copied_tree, steps_that_ran

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]
NEWER, BEFORE, VERSION = "cinedex-test:newer", "cinedex-test:before", "99.0.0"


@pytest.fixture(scope="module")
def newer(engine: Engine, image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Of a tree that calls itself another version, and is else ours."""
    tree = copied_tree(tmp_path_factory.mktemp("newer") / "tree")
    about = tree / "core" / "__init__.py"
    text = about.read_text()
    about.write_text(text.replace(f'"{core.__version__}"', f'"{VERSION}"'))
    assert about.read_text() != text
    yield Image(NEWER, engine.build("cpu", NEWER, tree=tree), engine)
    engine.run("image", "rm", "--force", NEWER, check=False)


def test_after_a_change_of_our_code_no_package_is_installed_anew(
    engine: Engine, newer: Image, tell: Callable[[str], None]
) -> None:
    log = engine.logs[-1]
    tell(f"the image: built in {newer.seconds:.0f} s after a change of our code")
    ran = steps_that_ran(log)
    assert "pip wheel" in ran and "-r /wanted.txt" in log
    assert "-r /wanted.txt" not in ran and "hatchling" not in ran, ran
    assert newer.run(NEWER, "--version") == f"cinedex {VERSION}"


def version(found: Deployment) -> str:
    return found.engine.says("exec", found.container("server"), "cinedex", "--version").rpartition(" ")[2]


def brings_up(found: Deployment, told: str) -> None:
    """What `up` leaves is of that version and answers, and so are jobs."""
    found.compose("up", "-d")
    until(found.is_ready)
    assert version(found) == told
    assert until(lambda: found.search("red", collection="sample"))
    assert found.job("cinedex", "--version").stdout.strip() == f"cinedex {told}"


def test_an_upgrade_keeps_what_is_there_and_so_does_the_way_back(
    deploy: Callable[..., Deployment], engine: Engine, composes: list[str], image: Image, newer: Image
) -> None:
    for which in range(len(composes)):
        engine.run("tag", image.tag, BEFORE)  # ahead of a build, which takes the name for itself
        found = deploy(which)
        brings_up(found, core.__version__)
        found.tell(CINEDEX_IMAGE=newer.tag)
        brings_up(found, VERSION)
        told = {**engine.environment, "CINEDEX_IMAGE": BEFORE}  # which goes before what .env says
        brings_up(replace(found, engine=replace(engine, environment=told)), core.__version__)
        found.compose("down", "--volumes")
        engine.run("image", "rm", BEFORE)
