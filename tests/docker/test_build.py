"""Compose builds the image where it is not there, once for all services."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.docker.conftest import NO_SECOND, Image, unable
from tests.docker.deployment import Deployment
from tests.docker.engine import Engine, called

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]


def by_buildkit(engine: Engine, program: str) -> bool:
    """Whether a compose builds with the layers that we have: the old one by `docker build`, today's by
    buildx, and where there is none by a builder of its own, which has to begin anew."""
    version = called([program, "version", "--short"], engine.environment).stdout
    return version.startswith("1.") or engine.run("buildx", "version", check=False).returncode == 0


def test_every_compose_builds_what_all_services_run(
    deploy: Callable[..., Deployment], engine: Engine, image: Image, composes: list[str]
) -> None:
    for which, program in enumerate(composes):
        tag = f"localhost:9/cinedex-test:{which}"  # where nobody has it either
        found = deploy(which, CINEDEX_IMAGE=tag, **({"BASE_IMAGE": engine.base} if engine.base else {}))
        build = {"network": "host"} if "host" in engine.build_flags else {}
        if not by_buildkit(engine, program):
            build["target"] = "wanted"  # the first stage: what is built of, and for whom, is the same
        if build:
            found.override({"server": {"build": build}})
        try:
            found.compose("up", "--no-start")
            built = engine.says("image", "inspect", "--format", "{{.Id}}", tag)
            made = [found.inspected(name)["Image"] for name in ("server", "sample")]
            assert made == [built, built], program
            if "target" not in build:
                assert engine.says("run", "--rm", "--network", "none", tag, "--version") == image.run(
                    image.tag, "--version"
                )
        finally:
            found.compose("down", "--volumes")
            engine.run("image", "rm", "--force", tag, check=False)
    if len(composes) < 2:
        unable(NO_SECOND if by_buildkit(engine, composes[0]) else f"{NO_SECOND} No compose built the image.")
