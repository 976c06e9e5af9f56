"""What `make dist` builds installs and runs away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from core import __version__
from extractor.media.write import Encoding, write_video
from tests.test_plugin import FILMS, PLUGIN, QUERIES, greys

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the sdist, built by the build back-end that is installed."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; the dependencies, 6 GB, are borrowed, the checkout is not."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True, symlinks=True)
    wheel = next(dist.glob("*.whl"))
    pip = [str(home / "bin/python"), "-m", "pip", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    borrowed = sysconfig.get_path("purelib")
    (own / "borrowed.pth").write_text(borrowed + "\n")  # a plain path: the .pth files in it are not followed
    return home


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    path = home / "bin" / command[0]
    return subprocess.run(
        [path, *command[1:]], capture_output=True, text=True, cwd=home, env=environment, timeout=300
    )


def test_the_wheel_holds_the_packages_the_client_and_nothing_else(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    info = f"cinedex-{__version__}.dist-info"
    assert tops == {"core", "extractor", "index", "server", "cinedex_client", info}
    assert {"extractor/probes.txt", "cinedex_client/py.typed"} <= {*names}
    page = {f"server/static/{path.name}" for path in (ROOT / "server/static").iterdir()}
    assert "server/static/index.html" in page and page <= set(names)
    shipped = [path for path in (ROOT / "extractor/encoders/shipped").rglob("*") if path.is_file()]
    assert {path.relative_to(ROOT).as_posix() for path in shipped} <= {*names}
    assert f"{info}/licenses/LICENSE" in names and f"{info}/licenses/THIRD_PARTY.md" in names


def test_the_sdist_can_be_built_and_tested_from(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {"pyproject.toml", "Makefile", "constraints.txt", "tests/test_layers.py", "LICENSE"}
    assert wanted | {"docker/.env.example", "docker/videos/.gitkeep"} <= names


def test_the_client_is_installed_alone(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation"]
    client = shutil.copytree(
        ROOT / "client", tmp_path / "client", ignore=shutil.ignore_patterns("__pycache__")
    )
    subprocess.run([*pip, "--target", str(tmp_path / "alone"), str(client)], check=True, capture_output=True)
    held = {path.name for path in (tmp_path / "alone").iterdir()}
    assert held == {"cinedex_client", f"cinedex_client-{__version__}.dist-info"}
    assert (tmp_path / "alone/cinedex_client/py.typed").exists()
    code = (
        "import sys, cinedex_client as c; print(c.__version__, c.__file__);"
        "print([name for name in ('core', 'index', 'server', 'torch') if name in sys.modules])"
    )
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, 'alone'); {code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__} {tmp_path}/alone/cinedex_client/__init__.py\n[]\n"


def test_both_commands_run_from_the_wheel(installed: Path) -> None:
    assert run(installed, "cinedex", "--version").stdout == f"cinedex {__version__}\n"
    assert run(installed, "extract", "--help").stdout.startswith("usage: extract ")
    where = run(installed, "python", "-c", "import core, cinedex_client; print(core.__file__)").stdout
    assert where.startswith(str(installed))


def test_a_mistake_is_an_exit_code(installed: Path) -> None:
    done = run(installed, "extract", "--workers", "-1")
    assert done.returncode == 2 and done.stderr.startswith("extract: workers: ")


def test_the_whole_path_works_from_the_wheel(installed: Path) -> None:
    films, data = str(installed / "films"), str(installed / "data")
    assert run(installed, "cinedex", "sample-videos", "--plain", films).returncode == 0
    done = run(installed, "extract", "--videos", films, "--encoder", "toy:rgb", "--data", data)
    assert done.returncode == 0, done.stderr
    done = run(installed, "cinedex", "index", "build", "--data", data)
    assert done.returncode == 0, done.stderr
    assert "sample-01.mp4" in run(installed, "cinedex", "search", "red", "--data", data).stdout


def test_a_plugin_beside_the_wheel_keeps_the_contract_and_finds_films(installed: Path) -> None:
    """As its author would: the contract test is the wheel's, no checkout is near."""
    plugin = shutil.copytree(PLUGIN, installed / "plugin", ignore=shutil.ignore_patterns("__pycache__"))
    flags = ["--no-deps", "--no-index", "--no-build-isolation"]
    done = run(installed, "python", "-m", "pip", "install", *flags, str(plugin))
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(plugin / "build", ignore_errors=True)
    (plugin / "cinedex_motion.py").unlink()  # what is installed is what is tried
    done = run(installed, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "plugin/tests")
    assert done.returncode == 0, done.stdout + done.stderr
    films, data = installed / "grey", str(installed / "motion")
    films.mkdir()
    for name, levels in FILMS.items():
        write_video(films / f"{name}.mp4", greys(levels), Encoding(fps=Fraction(4)))
    done = run(installed, "extract", "--videos", str(films), "--encoder", "motion:light", "--data", data)
    assert done.returncode == 0, done.stderr
    assert run(installed, "cinedex", "index", "build", "--data", data).returncode == 0
    for query, name in QUERIES.items():
        done = run(installed, "cinedex", "search", query, "--json", "--level", "video", "--data", data)
        answer = json.loads(done.stdout)
        assert (answer["encoder"], answer["results"][0]["path"]) == ("motion:light", f"grey/{name}.mp4")
