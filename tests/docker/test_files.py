"""What is said of the image and the deployment in several places is the same in all of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import core
from server.settings import ServeSettings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docker"
COMPOSE, GPU = FOLDER / "compose.yml", FOLDER / "compose.gpu.yml"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def services(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return found


def variables(path: Path) -> Iterator[tuple[str, str]]:
    yield from _VARIABLE.findall(path.read_text())


def explained() -> dict[str, str]:
    lines = (FOLDER / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_names_each_variable_with_its_default() -> None:
    found = explained()
    used = dict(variables(COMPOSE))
    assert found.pop("COMPOSE_PROJECT_NAME") == "cinedex", "Compose reads it itself"
    assert set(found) == set(used) | {name for name, _ in variables(GPU)}
    of_its_own = {"CINEDEX_IMAGE"}  # by which file is read beside
    assert {name: found[name] for name in used if name not in of_its_own} == {
        name: default for name, default in used.items() if name not in of_its_own
    }


def test_each_variable_has_one_default() -> None:
    for path in (COMPOSE, GPU):
        found = list(variables(path))
        assert len(set(found)) == len(dict(found)), path


def test_each_variable_of_the_example_is_explained() -> None:
    lines = (FOLDER / ".env.example").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[A-Z_]+=", line):
            above = lines[number - 1]
            assert above.startswith("#") or re.match(r"[A-Z_]+=", above), line


@pytest.mark.parametrize("name", services(COMPOSE))
def test_every_container_may_do_as_little_as_it_can(name: str) -> None:
    service = services(COMPOSE)[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "cap_add", "devices", "shm_size"} & set(service)
    videos = [volume for volume in service["volumes"] if ":/videos" in volume]
    assert all(volume.endswith(":ro") for volume in videos)
    assert "docker.sock" not in str(service)


def test_only_what_runs_for_long_is_started_again_and_jobs_wait_to_be_asked_for() -> None:
    found = services(COMPOSE)
    assert {name for name, each in found.items() if "profiles" not in each} == {"server", "sample"}
    assert {name for name, each in found.items() if each.get("restart") == "unless-stopped"} == {"server"}
    assert found["sample"]["restart"] == "no"
    assert {name for name, each in found.items() if "ports" in each} == {"server"}


def test_the_server_alone_stays_where_to_be_started_again_would_mend_nothing() -> None:
    kept = ["python3", "-m", "server.commands.kept"]
    found = services(COMPOSE)
    assert [name for name, each in found.items() if each.get("entrypoint") == kept] == ["server"]
    assert found["server"]["command"][0] == "serve"


def test_the_server_is_told_where_it_is_published() -> None:
    server = services(COMPOSE)["server"]
    (published,) = server["ports"]
    flags = dict(word[2:].split("=", 1) for word in server["command"] if word.startswith("--"))
    assert published == f"{flags['published']}:{flags['published-port']}:8000"


def test_a_setting_goes_to_those_that_it_is_for() -> None:
    """To most commands an encoder is the one that is asked, and keys are made in the file that counts."""
    found = services(COMPOSE)
    told = {
        name: [service for service, each in found.items() if name in each["environment"]]
        for name in ("CINEDEX_ENCODER", "CINEDEX_KEYS_FILE")
    }
    assert told == {"CINEDEX_ENCODER": ["extract"], "CINEDEX_KEYS_FILE": ["cinedex"]}
    assert [name for name, each in found.items() if "secrets" in each] == ["server", "cinedex"]


def test_gpus_are_given_to_all_but_the_sample() -> None:
    given, plain = services(GPU), services(COMPOSE)
    assert set(given) == set(plain)
    assert {name for name, each in given.items() if "deploy" not in each} == {"sample"}
    assert {each["image"] for each in given.values()} == {"${CINEDEX_IMAGE:-cinedex:cuda}"}
    assert given["server"]["build"]["target"] == "cuda"


@pytest.mark.parametrize("path", [COMPOSE, GPU], ids=lambda path: path.name)
def test_one_service_builds_the_image_that_all_of_them_run(path: Path) -> None:
    """Two that build one name at once are in each other's way."""
    found = services(path)
    assert [name for name, each in found.items() if "build" in each] == ["server"]
    assert len({each["image"] for each in found.values()}) == 1
    assert services(COMPOSE)["sample"]["depends_on"] == ["server"]


def test_beside_the_server_jobs_have_the_smaller_share_of_the_cpus() -> None:
    shares = {name: each.get("cpu_shares", 1024) for name, each in services(COMPOSE).items()}
    assert shares.pop("server") == 1024 and set(shares.values()) == {512}


def test_the_folder_of_videos_is_there_before_docker_makes_it_for_root() -> None:
    assert (FOLDER / explained()["CINEDEX_VIDEOS"] / ".gitkeep").is_file()
    ignored = (FOLDER / ".gitignore").read_text().splitlines()
    assert "videos/*" in ignored and "!videos/.gitkeep" in ignored


def test_a_proxy_of_the_docs_waits_for_longer_than_the_server_takes() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s;", page)
    assert float(seconds) > ServeSettings.model_fields["deadline_seconds"].default


def test_the_images_version_is_the_packages() -> None:
    assert re.findall(r"^ARG VERSION=(.+)$", DOCKERFILE, re.MULTILINE) == [core.__version__]


def test_the_default_base_and_extras_are_the_same_everywhere() -> None:
    defaults = dict(re.findall(r"^ARG (\w+)=(.*)$", DOCKERFILE, re.MULTILINE))
    found = explained()
    assert {name: defaults[name] for name in ("BASE_IMAGE", "TORCH_INDEX", "EXTRAS")} == {
        name: found[name] for name in ("BASE_IMAGE", "TORCH_INDEX", "EXTRAS")
    }


def test_an_index_of_torch_need_not_have_what_torch_needs() -> None:
    (asked,) = [line for line in DOCKERFILE.replace("\\\n", " ").splitlines() if "--index-url" in line]
    assert "--no-deps" in asked and asked.split("--index-url")[1].split()[1:] == [
        "torch",
        "torchvision;",
        "fi",
    ]
    rest = DOCKERFILE.partition("--index-url")[2]
    assert "-r /wanted.txt" in rest and " check" in rest, (
        "what torch needs comes behind it, and is looked for"
    )


def test_nothing_is_fetched_to_read_the_dockerfile() -> None:
    assert "# syntax=" not in DOCKERFILE
    assert "ADD " not in DOCKERFILE and "latest" not in DOCKERFILE


def test_the_context_holds_what_the_image_is_made_of_and_no_more() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for line in copied for name in line.split()} == kept
    assert all((ROOT / name).exists() for name in kept)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {name.partition("/")[0] for name in packages} <= kept


def wanted(extras: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(FOLDER / "wanted.py"), str(ROOT / "pyproject.toml"), extras]
    return subprocess.run(line, capture_output=True, text=True)


def test_what_is_installed_is_what_the_package_asks_for_and_is_pinned() -> None:
    asked = wanted(explained()["EXTRAS"]).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) < set(asked)
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in asked}
    assert {name.replace("-", "_") for name in names} <= {name.replace("-", "_") for name in pinned}


def unpinned(folder: Path, packages: str) -> subprocess.CompletedProcess[str]:
    """As the build looks at what it has installed."""
    held = folder / "packages.txt"
    held.write_text(packages)
    line = [sys.executable, str(FOLDER / "unpinned.py"), str(held), str(ROOT / "constraints.txt")]
    return subprocess.run(line, capture_output=True, text=True)


def test_a_package_that_is_not_pinned_ends_the_build_in_one_sentence(tmp_path: Path) -> None:
    packages = (ROOT / "constraints.txt").read_text()
    built_elsewhere = re.sub(r"^torch==(.+)$", r"torch==\1+cpu", packages, flags=re.MULTILINE)
    assert "+cpu" in built_elsewhere
    done = unpinned(tmp_path, f"{built_elsewhere}typing.extensions==1\n")
    assert (done.returncode, done.stderr) == (0, "")
    done = unpinned(tmp_path, f"{packages}new.kid==1.0\nother @ file:///other.whl\n")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("EXTRAS: constraints.txt gives no version to new-kid, other;")


def test_an_extra_that_is_none_is_one_sentence() -> None:
    found = wanted("s3,s4")
    assert found.returncode == 1 and found.stdout == ""
    assert found.stderr.startswith("EXTRAS: no extra is called 's4'") and found.stderr.count("\n") == 1
