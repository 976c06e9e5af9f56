"""The deployment as it is used: from nothing to answers, new videos, a kill, an upgrade, keys."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server.commands.kept import WAITS
from tests.docker.conftest import NO_SECOND, unable
from tests.docker.deployment import Deployment, until
from tests.docker.engine import ROOT, Engine, called

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3600)]
Deploy = Callable[..., Deployment]
V1 = ROOT / "tests" / "data" / "store-v1"
CLI = "import sys; from core.commands import main; sys.exit(main())"


def ours(*words: str) -> str:
    """A verb on this machine."""
    return called([sys.executable, "-c", CLI, *words], {**os.environ, "PYTHONPATH": str(ROOT)}).stdout


def put_videos(found: Deployment, count: int = 3, seed: int = 7) -> None:
    arrive(found.folder / "videos", count, seed)


def arrive(folder: Path, count: int, seed: int = 7) -> None:
    """Films come one by one into a folder that stays, since it may be mounted by now."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        rendered = Path(beside) / "films"
        ours("sample-videos", "--plain", str(rendered), "--seed", f"{seed}", "--count", f"{count}")
        for film in sorted(rendered.glob("*.mp4")):
            film.rename(folder / f"{seed}-{film.name}")


def paths(results: list[dict[str, str]]) -> set[str]:
    return {result["path"].partition("/")[0] for result in results}


def memory(found: Deployment) -> str:
    """Of the server's container, now."""
    return found.engine.says("stats", "--no-stream", "--format", "{{.MemUsage}}", found.container("server"))


def test_from_nothing_to_answers_and_on_through_new_videos_and_a_kill(
    deploy: Deploy, engine: Engine, tell: Callable[[str], None]
) -> None:
    found = deploy()
    found.compose("up", "-d")
    until(found.is_ready)
    page = found.get("/")
    assert page is not None and page.status_code == 200 and "<html" in page.text
    assert paths(until(lambda: found.search("red", collection="sample"))) == {"sample-videos"}
    until(lambda: found.inspected("server")["State"]["Health"]["Status"] == "healthy")
    began = found.inspected("server")["State"]["StartedAt"]
    tell(f"memory of the server with the sample's encoder: {memory(found)}")

    put_videos(found)
    found.job("extract", "--videos", "/videos")
    found.job("index", "build")
    until(lambda: paths(found.search("red", collection="default", limit=100)) == {"videos"})
    found.tell(CINEDEX_ENCODER="auto")  # what `extract` is to encode by, and no other command asks for
    assert "videos/" in found.job("cinedex", "search", "red").stdout
    collections = found.get("/collections")
    assert collections is not None
    assert [each["name"] for each in collections.json()["collections"] if each["default"]] == ["default"]
    assert f"http://127.0.0.1:{found.port}" in found.job("cinedex", "status").stdout
    assert found.inspected("server")["State"]["StartedAt"] == began, "the server was started again"

    found.crash("server")
    until(lambda: found.inspected("server")["State"]["StartedAt"] != began and found.is_ready())
    assert found.search("red", collection="default")
    engine.run("kill", found.container("server"))
    assert found.get("/readyz") is None
    found.compose("up", "-d", "server")
    until(found.is_ready)
    assert found.search("red", collection="default")
    assert found.compose("up", "--no-deps", "sample").returncode == 0, "the sample is made once"
    assert "there already" in found.logs("sample")


def test_every_compose_brings_it_up_and_takes_it_away(
    deploy: Deploy, composes: list[str], engine: Engine
) -> None:
    if len(composes) < 2:
        unable(NO_SECOND)  # of today's other tests tell
    for which in range(1, len(composes)):
        found = deploy(which)
        found.compose("up", "-d")
        until(found.is_ready)
        assert found.search("red", collection="sample")
        assert "sample" in found.job("cinedex", "status").stdout
        found.compose("down")
        engine.run("volume", "rm", f"{found.project}_scratch")  # as docs/operations.md has it emptied
        found.compose("up", "-d", "server")
        until(found.is_ready)
        assert found.search("red", collection="sample")
        found.compose("down", "--volumes")
        assert not engine.says("volume", "ls", "-q", f"--filter=name={found.project}")


def test_a_volume_of_the_first_version_opens_and_answers(deploy: Deploy) -> None:
    found = deploy()
    library = found.folder / "library"
    shutil.copytree(V1, library / "toy-rgb")
    held = {"format": 1, "collections": {"default": ["toy-rgb"]}}
    (library / "collections.json").write_text(json.dumps(held))
    put_videos(found, 1)
    found.job("--volume", f"{library}:/old:ro", "--entrypoint", "cp", "cinedex", "-r", "/old/.", "/data/")
    found.compose("up", "-d", "server")
    until(found.is_ready)
    before = {result["path"].rpartition("/")[2] for result in found.search("red", limit=100)}
    assert before >= {"copy \N{SNOWMAN}.mp4", "sample-03.mp4"}
    found.job("extract", "--videos", "/videos")
    found.job("index", "build")
    until(lambda: "videos" in paths(found.search("red", limit=100)))
    assert "is damaged" not in found.logs("server")


def test_jobs_of_any_user_may_run_twice_and_two_at_once(deploy: Deploy) -> None:
    found = deploy(CINEDEX_USER="54321:54321")  # to whom the new volumes were not made
    put_videos(found)
    found.compose("up", "--no-start", "server")  # two composes at once would both make the network
    both = [found.begun("extract", "--videos", "/videos") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    both = [found.begun("index", "build") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    status = json.loads(found.job("cinedex", "status", "--json").stdout)
    again = found.job("extract", "--videos", "/videos")
    assert "0 done, 3 skipped (3 already)" in again.stdout + again.stderr
    found.job("index", "build")
    after = json.loads(found.job("cinedex", "status", "--json").stdout)
    one, two = (each["collections"][0]["stores"][0]["snapshot"] for each in (status, after))
    assert one["rows"] == two["rows"] and sum(two["rows"].values()) > 0 and two["sources"] == 3


def test_sigterm_ends_each_service_in_time_and_nothing_is_lost(
    deploy: Deploy, engine: Engine, tell: Callable[[str], None]
) -> None:
    found = deploy()
    put_videos(found)
    found.compose("up", "-d", "server")
    found.compose("run", "-d", "extract", "--videos", "/videos", "--watch", "--watch-seconds", "1")
    found.compose("run", "-d", "index", "build", "--follow", "--follow-seconds", "0.5")
    until(found.is_ready)
    jobs = engine.says("ps", "-q", f"--filter=name={found.project}").split()
    assert len(jobs) == 3
    label = "com.docker.compose.service"
    engine.run("update", "--cpus", "0.1", found.container("extract"))  # so that it is at work for a while
    put_videos(found, 20, seed=8)
    beats = ("exec", found.container("server"), "sh", "-c", "cat /data/running/extract-*; true")
    until(lambda: re.search(r'"left": [1-9]', engine.says(*beats)))
    engine.run("stop", *jobs)  # each within its own time, after which it is killed
    assert "stopped: " in found.logs("extract")
    states = json.loads(engine.says("inspect", *jobs))
    patience_s = {each["Config"]["Labels"][label]: each["Config"]["StopTimeout"] for each in states}
    assert patience_s == {"server": 40, "extract": 300, "index": 300}
    codes = {each["Config"]["Labels"][label]: each["State"]["ExitCode"] for each in states}
    assert codes == {"server": 0, "extract": 130, "index": 0}
    found.compose("up", "-d", "server")
    until(found.is_ready)
    assert len(found.search("red", limit=100)) > 0
    again = found.job("extract", "--videos", "/videos")
    (counts,) = re.findall(r"(\d+) done, (\d+) skipped \((\d+) already\)", again.stdout + again.stderr)
    done, skipped, already = map(int, counts)
    assert 0 < done <= 20 and skipped == already == 23 - done, again.stderr
    check = found.job("index", "check", "--files", check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    tell(f"memory of the server with toy:rgb, and what decodes beside it: {memory(found)}")


def test_a_secret_file_of_keys_lets_in_who_has_one_and_is_told_to_nobody(
    deploy: Deploy, engine: Engine
) -> None:
    found = deploy(CINEDEX_LISTEN="0.0.0.0")
    secret = found.folder / "keys.json"
    key = ours("keys", "create", "page", "--keys-file", str(secret)).strip()
    secret.chmod(0o644)
    found.tell(CINEDEX_KEYS_FILE=str(secret))
    found.compose("up", "-d")
    until(found.is_ready)
    assert until(lambda: found.search("red", key, collection="sample"))
    asked = {"http://127.0.0.1": 200, "http://192.0.2.2:8000": 200, "http://films.example": 403}
    for (
        address,
        status,
    ) in asked.items():  # as from another machine, which a container's own address tells nothing
        headers = {"host": address.removeprefix("http://"), "x-api-key": key, "origin": address}
        body = {"query": "red", "level": "frame", "collection": "sample"}
        answer = httpx.post(f"http://127.0.0.1:{found.port}/search", json=body, headers=headers, timeout=60)
        assert answer.status_code == status, (address, answer.text)
    assert "page" in found.job("--no-deps", "cinedex", "keys", "list").stdout
    refused = found.job("--no-deps", "cinedex", "keys", "create", "another", check=False)
    assert refused.returncode == 1 and not refused.stdout
    assert "/run/secrets/keys" in refused.stderr and "cannot be written" in refused.stderr, refused.stderr
    denied = found.get("/collections")
    assert denied is not None and denied.status_code == 401
    found.get(f"/collections?key={key}", key)  # as somebody might send it
    found.get("/collections", f"{key}0")
    told = found.logs("server") + found.logs("sample") + json.dumps(found.inspected("server"))
    told += engine.says("exec", found.container("server"), "env")
    hashed = json.loads(secret.read_text())["keys"][0]["hash"]
    assert "/collections" in told and not [part for part in (key[13:], hashed) if part in told]
    # Another one in its place: a file that is mounted is the one that was there when the container started.
    other = ours("keys", "create", "other", "--keys-file", str(secret)).strip()
    ours("keys", "revoke", "page", "--keys-file", str(secret))
    found.compose("restart", "server")
    until(found.is_ready)
    answers = [found.get("/collections", each) for each in (key, other)]
    assert [answer and answer.status_code for answer in answers] == [401, 200]


def test_without_keys_it_is_published_on_loopback_only(deploy: Deploy, engine: Engine) -> None:
    found = deploy(CINEDEX_LISTEN="0.0.0.0")
    found.compose("up", "-d", "server")
    until(lambda: WAITS in found.logs("server"))
    assert found.logs("server").count("published: 0.0.0.0 can be reached from outside") == 1
    assert found.get("/healthz") is None
    state = found.inspected("server")
    assert state["State"]["Running"] and state["RestartCount"] == 0, "it is not started again and again"
    engine.run("stop", found.container("server"))
    assert found.inspected("server")["State"]["ExitCode"] == 2
    found.tell(CINEDEX_LISTEN="127.0.0.1")
    found.compose("up", "-d", "server")
    until(lambda: found.get("/healthz") is not None)


def test_a_job_of_building_ends_well_where_there_is_nothing_to_build(deploy: Deploy) -> None:
    found = deploy()
    (found.folder / "videos" / "broken.mp4").write_bytes(bytes(10_000))
    assert found.job("extract", "--videos", "/videos", check=False).returncode == 3
    built = found.job("index", "build")
    assert "holds nothing to build from; `extract` fills it." in built.stdout + built.stderr
