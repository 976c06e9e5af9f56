"""What a container is given counts, however many CPUs its machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import cpus
from core.cpus import quota, usable_cpus


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def groups(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "groups"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("most", "given"), [("150000 100000", 1.5), ("max 100000", None), ("nonsense", None), ("1", None)]
)
def test_version_2_says_it_in_one_file(tmp_path: Path, most: str, given: float | None) -> None:
    group(tmp_path, cpu__max=most)
    assert quota(tmp_path, groups(tmp_path, "0::/\n")) == given


def test_a_group_above_may_be_the_tighter_one(tmp_path: Path) -> None:
    group(tmp_path / "job", cpu__max="200000 100000")
    group(tmp_path / "job" / "inner", cpu__max="400000 100000")
    assert quota(tmp_path, groups(tmp_path, "0::/job/inner\n")) == 2


def test_version_1_says_it_in_two_under_a_name_that_only_the_host_has(tmp_path: Path) -> None:
    group(tmp_path / "cpu", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    found = groups(tmp_path, "4:memory:/docker/1f\n1:cpu,cpuacct:/docker/1f\n0::/docker/1f\n")
    assert quota(tmp_path, found) == 0.5


def test_version_1_without_a_quota_gives_all(tmp_path: Path) -> None:
    group(tmp_path / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert quota(tmp_path, groups(tmp_path, "1:cpu:/\n0::/\n")) is None


def test_where_nothing_is_said_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path, tmp_path / "none") is None
    assert quota(tmp_path, groups(tmp_path, "\n:\n0::/\n")) is None


@pytest.mark.parametrize(("given", "usable"), [(None, 8), (0.5, 1), (1.5, 2), (3.0, 3), (64.0, 8)])
def test_a_part_of_a_cpu_counts_as_one_and_no_quota_makes_more_of_them(
    given: float | None, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cpus, "quota", lambda root, groups: given)
    assert usable_cpus() == usable


def test_the_cpus_are_counted_where_no_system_says_which_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setattr(cpus, "quota", lambda root, groups: None)
    assert usable_cpus() == 6
