"""What the containers are given is what .env says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.docker.deployment import Deployment

GB = 1 << 30


@pytest.mark.docker
@pytest.mark.timeout(3600)
def test_every_compose_gives_each_container_its_limits_its_restarts_and_its_rights(
    deploy: Callable[..., Deployment], composes: list[str]
) -> None:
    limits = {"CINEDEX_SERVER_MEMORY": "3g", "CINEDEX_SERVER_CPUS": "1.5"}
    limits |= {"CINEDEX_JOB_MEMORY": "5g", "CINEDEX_JOB_CPUS": "0.5"}
    for which in range(len(composes)):
        found = deploy(which, **limits)
        found.compose("--profile", "jobs", "up", "--no-start")
        given = {
            name: found.inspected(name)["HostConfig"]
            for name in ("server", "sample", "extract", "index", "cinedex")
        }
        jobs = {name: (5 * GB, 500_000_000) for name in given} | {"server": (3 * GB, 1_500_000_000)}
        assert {name: (each["Memory"], each["NanoCpus"]) for name, each in given.items()} == jobs
        shares = {name: each["CpuShares"] or 1024 for name, each in given.items()}
        assert shares == dict.fromkeys(given, 512) | {"server": 1024}
        again = {name for name, each in given.items() if each["RestartPolicy"]["Name"] not in ("", "no")}
        assert again == {"server"} and given["server"]["RestartPolicy"]["Name"] == "unless-stopped"
        for name, each in given.items():
            assert each["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}, name
            assert each["ReadonlyRootfs"] and each["CapDrop"] == ["ALL"] and not each["CapAdd"], name
            assert [word.partition(":")[0] for word in each["SecurityOpt"]] == ["no-new-privileges"], name
            assert not each["Privileged"] and not each["Devices"], name
