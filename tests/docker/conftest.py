"""The engine, the image and the composes that all tests here share."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docker import engine as engines
from tests.docker.deployment import Deployment, deployed
from tests.docker.engine import Engine, Unable

IMAGE = "cinedex-test:cpu"
DEBIANS = "/usr/bin/docker-compose"
NO_SECOND = "There is no second docker-compose; `apt-get install docker-compose` brings Debian's."
_why: list[str] = []


def unable(why: str) -> None:
    """Skip where there is no engine, or not all that is tested with one, which the end of the run says once
    more; fail under REQUIRE_DOCKER=1."""
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(why)
    _why.append(why)
    pytest.skip(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _why:
        terminalreporter.section("DOCKER WAS NOT TESTED, OR NOT ALL OF IT", sep="!", red=True, bold=True)
        for why in dict.fromkeys(_why):
            terminalreporter.line(f"{why} REQUIRE_DOCKER=1 makes a failure of it.")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with ExitStack() as held:
        try:
            found = held.enter_context(engines.engine())
        except Unable as error:
            unable(str(error))
        yield found


@dataclass(frozen=True, slots=True)
class Image:
    """What was built of this tree."""

    tag: str
    seconds: float
    engine: Engine

    def run(self, *words: str) -> str:
        """A command in a container of it, and what that wrote to stdout."""
        return self.engine.says("run", "--rm", "--network", "none", *words)


@pytest.fixture(scope="session")
def image(engine: Engine) -> Image:
    return Image(IMAGE, engine.build("cpu", IMAGE), engine)


def there(today: str, *others: str) -> list[str]:
    """Today's, if it is there, and the first of the others that is, which PATH may have as today's again."""
    second = [path for path in others if path != today and Path(path).is_file()][:1]
    return [today, *second] if Path(today).is_file() else second


@pytest.fixture(scope="session")
def composes() -> list[str]:
    """Today's Compose, which `make test-docker` installs, first; then Debian's, where it is."""
    today = str(Path(sys.executable).with_name("docker-compose"))
    found = there(today, shutil.which("docker-compose") or today, DEBIANS)
    if not found:
        unable("There is no docker-compose; `make test-docker` brings one.")
    return found


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """A figure of docs/operations.md, whoever captures what tests write."""

    def write(line: str) -> None:
        with capfd.disabled():
            print(f"\n{line}")  # noqa: T201

    return write


@pytest.fixture
def deploy(
    engine: Engine, image: Image, composes: list[str], tmp_path: Path
) -> Iterator[Callable[..., Deployment]]:
    """Deployments that are gone when the test ends; which: of the composes."""
    with ExitStack() as held:

        def begin(which: int = 0, **settings: str) -> Deployment:
            folder = tmp_path / f"deployment-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return held.enter_context(deployed(engine, composes[which], image.tag, folder, **settings))

        yield begin
