"""What is in the image, and what is not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import core
from tests.docker.conftest import Image
from tests.docker.engine import ROOT, Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]
PACKAGES = ("core", "extractor", "index", "server", "cinedex_client")
SECRET = "cdx_0badc0de_nobody-may-read-this"


def inspected(engine: Engine, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.says("image", "inspect", tag))[0]
    return found


def test_it_runs_as_somebody_with_a_health_check_and_says_what_it_is(engine: Engine, image: Image) -> None:
    config = inspected(engine, image.tag)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "python3", "-m", "server.commands.ready"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert (labels["title"], labels["version"]) == ("Cinedex", core.__version__)
    brought = image.run("--entrypoint", "cat", image.tag, "/usr/share/doc/cinedex/packages.txt")
    licences = set(labels["licenses"].split(" AND "))
    assert licences >= {"Apache-2.0", "GPL-2.0-or-later", "LGPL-3.0-or-later"}
    assert "LicenseRef-NVIDIA-CUDA" in licences or "nvidia-" not in brought


def test_one_image_has_all_commands_and_their_licences(image: Image) -> None:
    assert image.run(image.tag, "--version") == f"cinedex {core.__version__}"
    assert "usage: extract" in image.run("--entrypoint", "extract", image.tag, "--help")
    for name in ("LICENSE", "THIRD_PARTY.md"):
        held = image.run("--entrypoint", "cat", image.tag, f"/usr/share/doc/cinedex/{name}")
        assert held == (ROOT / name).read_text().strip()
    size = image.run("--entrypoint", "cat", image.tag, "/usr/share/doc/cinedex/size.txt")
    assert re.fullmatch(r"[\d.]+[MG]\t/opt/cinedex", size)


def test_every_package_in_it_is_the_one_that_is_pinned(image: Image) -> None:
    pinned = set((ROOT / "constraints.txt").read_text().splitlines())
    found = image.run("--entrypoint", "cat", image.tag, "/usr/share/doc/cinedex/packages.txt").splitlines()
    assert len(found) > 40 and set(found) <= pinned, set(found) - pinned
    names = {line.partition("==")[0].lower() for line in found}
    assert {"torch", "setuptools"} <= names, "what torch needs is listed too"


def test_it_holds_no_compiler_no_installer_of_its_own_no_cache_and_none_of_our_tests(image: Image) -> None:
    look = (
        "command -v gcc cc c++ g++ make ld; "
        "ls -d /opt/cinedex/bin/pip* /root/.cache /tmp/* /opt/pip /src /wheel 2>/dev/null; "
        "find / -xdev -name '.cache' -o -xdev -name 'test_bad_values.py' -o -xdev -name '*.whl' 2>/dev/null "
        "| grep -v ensurepip | grep -v python-wheels; true"
    )
    assert image.run("--user", "0", "--entrypoint", "sh", image.tag, "-c", look) == ""


def test_no_weights_are_in_it_but_our_own(image: Image) -> None:
    """Those of the starters are a part of the package."""
    names = " -o ".join(f"-name '{name}'" for name in ("*.safetensors", "*.pt", "pytorch_model*.bin"))
    look = f"find /weights -type f; find / -xdev \\( {names} \\) -type f 2>/dev/null; true"
    found = image.run("--user", "0", "--entrypoint", "sh", image.tag, "-c", look).splitlines()
    shipped = "extractor/encoders/shipped"
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / shipped).rglob("*.safetensors")}
    assert ours and {path.partition("/site-packages/")[2] for path in found} == ours, found


def test_secrets_beside_what_it_is_made_of_are_in_no_layer_and_no_variable(
    engine: Engine, image: Image, tmp_path: Path
) -> None:
    """Where they lie in a tree and are told to the build, what is built is what is built without."""
    tree = copied_tree(tmp_path / "tree")
    for name in (".env", "keys.json", "docker/.env", "docker/keys.json", "server/.env", "server/keys.json"):
        (tree / name).write_text(SECRET)
    told = replace(engine, environment={**engine.environment, "CINEDEX_KEY": SECRET, "SECRET": SECRET})
    told.build("cpu", "cinedex-test:told", "--build-arg", f"SECRET={SECRET}", tree=tree)
    assert not steps_that_ran(told.logs[-1]), "something of what was added was taken in"
    said = engine.says("history", "--no-trunc", "--format", "{{.CreatedBy}}", "cinedex-test:told")
    said += json.dumps(inspected(engine, "cinedex-test:told"))
    assert "/opt/cinedex" in said and SECRET not in said
    layers = [inspected(engine, tag)["RootFS"]["Layers"] for tag in ("cinedex-test:told", image.tag)]
    assert layers[0] == layers[1]
    engine.run("image", "rm", "cinedex-test:told")


def copied_tree(tree: Path) -> Path:
    """What the image is made of, elsewhere."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            copy_into(tree, line[1:])
    copy_into(tree, ".dockerignore")
    copy_into(tree, "docker")
    return tree


def copy_into(tree: Path, name: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / name).is_dir():
        left_out = shutil.ignore_patterns("__pycache__", ".env", "keys.json", "videos", "data", "weights")
        shutil.copytree(ROOT / name, tree / name, ignore=left_out, dirs_exist_ok=True)
    else:
        shutil.copy(ROOT / name, tree / name)


def test_a_second_build_takes_all_from_the_cache(
    engine: Engine, image: Image, tell: Callable[[str], None]
) -> None:
    seconds = engine.build("cpu", image.tag)
    tell(f"the image: built in {image.seconds:.0f} s, again in {seconds:.1f} s")
    log = engine.logs[-1]
    assert log.count("CACHED") >= 12 and "pip" not in steps_that_ran(log)


def test_what_it_weighs_is_told_part_by_part(
    engine: Engine, image: Image, tell: Callable[[str], None]
) -> None:
    held = weighed(image)
    whole, all_of_python = inspected(engine, image.tag)["Size"], held.pop("/opt/cinedex")
    parts = {"the base": whole - all_of_python, "packages and code": all_of_python} | held
    tell(f"the image: {whole / 1e9:.2f} GB")
    tell(", ".join(f"{name} {size / 1e9:.3f} GB" for name, size in parts.items()))
    on_disk = engine.says("system", "df", "--format", "{{.Type}} {{.Size}}").splitlines()
    tell(f"on the engine's disk: {', '.join(on_disk)}")
    assert sum(held.values()) < all_of_python < whole
    shipped = (ROOT / "extractor/encoders/shipped").rglob("*")
    assert held["extractor/encoders/shipped"] == sum(
        path.stat().st_size for path in shipped if path.is_file()
    )


WEIGH = """
import os, sys, sysconfig
for name in sys.argv[1:]:
    folder = os.path.join(sysconfig.get_path("purelib"), name)
    paths = (os.path.join(here, file) for here, _, files in os.walk(folder) for file in files)
    print(sum(os.lstat(path).st_size for path in paths))
"""


def weighed(image: Image) -> dict[str, int]:
    """Bytes in files of what is installed, by folder; our code without the weights in it."""
    shipped, whole = "extractor/encoders/shipped", "/opt/cinedex"
    names = ["nvidia", "torch", "triton", shipped, *PACKAGES, whole]
    lines = image.run("--entrypoint", "python3", image.tag, "-c", WEIGH, *names).splitlines()
    held = dict(zip(names, map(int, lines), strict=True))
    held["extractor"] -= held[shipped]
    return held


def steps_that_ran(log: str) -> str:
    """The commands of those that were not taken from the cache."""
    steps = dict(re.findall(r"^#(\d+) (\[.+)$", log, re.MULTILINE))
    cached = set(re.findall(r"^#(\d+) CACHED$", log, re.MULTILINE))
    return "\n".join(step for number, step in steps.items() if number not in cached and "RUN" in step)


def test_the_image_for_gpus_is_the_same_with_the_drivers_video_engine_asked_for(
    engine: Engine, image: Image
) -> None:
    engine.build("cuda", "cinedex-test:cuda")
    assert "pip" not in steps_that_ran(engine.logs[-1])
    config = inspected(engine, "cinedex-test:cuda")["Config"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in config["Env"]
    assert config["Labels"] == inspected(engine, image.tag)["Config"]["Labels"]


def test_a_torch_index_is_asked_for_torch_alone(engine: Engine, image: Image, tmp_path: Path) -> None:
    """The one that is named is not there, so the build ends where it is asked."""
    words = ["build", "--progress", "plain", "-f", "docker/Dockerfile", "--target", "packages"]
    words += ["--build-arg", f"BASE_IMAGE={engine.base}"] if engine.base else []
    words += ["--build-arg", "TORCH_INDEX=http://127.0.0.1:9/simple", "--network", "none", str(ROOT)]
    done = engine.run(*words, check=False)
    assert done.returncode != 0
    assert "--index-url" in done.stderr and "/simple/torch/" in done.stderr
