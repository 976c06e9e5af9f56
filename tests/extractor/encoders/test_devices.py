"""Which device is meant, one and several; and what is said of those that are not here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.collections import Library
from core.errors import EncoderError, UsageError
from extractor.choose import Chosen, ExtractSettings
from extractor.cli import _job
from extractor.encoders import load, open_clip
from extractor.encoders.devices import choose_device, devices_of, exactly, gpu_count, moved, seen_by, use
from extractor.work import Job


@pytest.mark.parametrize(
    ("asked", "workers", "gpus", "found"),
    [
        ("auto", None, 0, ("cpu",)),
        ("auto", 4, 0, ("cpu",)),
        ("auto", None, 1, ("cuda:0",)),
        ("auto", None, 3, ("cuda:0", "cuda:1", "cuda:2")),
        ("cuda", None, 2, ("cuda:0", "cuda:1")),
        ("cpu", None, 2, ("cpu",)),
        ("cuda:1", None, 2, ("cuda:1",)),
        ("cuda:1,0", None, 2, ("cuda:1", "cuda:0")),
        ("cuda:0,1", 2, 2, ("cuda:0", "cuda:1")),
        ("cuda:0,1", 5, 2, ("cuda:0", "cuda:1")),
        ("auto", 1, 3, ("cuda:0",)),
        ("auto", 0, 3, ("cuda:0",)),
        ("cuda:2", 0, 3, ("cuda:2",)),
    ],
)
def test_devices_are_those_that_are_named_or_all(
    asked: str, workers: int | None, gpus: int, found: tuple[str, ...]
) -> None:
    assert devices_of(asked, workers, gpus) == found


@pytest.mark.parametrize(
    ("asked", "workers", "gpus", "says"),
    [
        ("cuda", None, 0, "device 'cuda' is not on this machine; no GPU is found."),
        ("cuda:1", None, 0, "device 'cuda:1' is not on this machine; no GPU is found."),
        ("cuda:1", None, 1, "device 'cuda:1' is not on this machine; 1 GPU is found."),
        ("cuda:0,2", None, 2, "device 'cuda:0,2' is not on this machine; 2 GPUs are found."),
        ("cuda:0,0", None, 2, "device 'cuda:0,0' names a GPU twice; --workers says how many use each."),
        (
            "cuda:",
            None,
            2,
            "device 'cuda:' is unknown; 'auto', 'cpu', 'cuda', 'cuda:1' and 'cuda:0,1' are known.",
        ),
        ("cuda:0,", None, 2, "device 'cuda:0,' is unknown; "),
        ("mps", None, 2, "device 'mps' is unknown; "),
        ("", None, 2, "device '' is unknown; "),
        (
            "cuda:0,1",
            0,
            2,
            "--workers 0 would leave some of --device cuda:0,1 idle; give 2 or more, or leave",
        ),
        ("cuda:0,1", 1, 2, "--workers 1 would leave some of --device cuda:0,1 idle; "),
    ],
)
def test_devices_that_cannot_be_are_refused_by_name(
    asked: str, workers: int | None, gpus: int, says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        devices_of(asked, workers, gpus)
    assert str(caught.value).startswith(says) and str(caught.value).endswith(".")


def test_several_are_not_one() -> None:
    with pytest.raises(UsageError, match="device 'cuda:0,1' is several; one of them is needed"):
        choose_device("cuda:0,1")


def test_more_workers_than_devices_use_them_in_turn(tmp_path: Path) -> None:
    job = Job(tmp_path, "toy:rgb", workers=5, devices=("cuda:0", "cuda:1"))
    assert job.device_of_each == ("cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0")
    assert Job(tmp_path, "toy:rgb", workers=0).device_of_each == ("auto",)


@pytest.mark.parametrize(
    ("flags", "devices", "each"),
    [
        ({}, ("cuda:0", "cuda:1"), (2, 3, 4)),
        ({"workers": 4}, ("cuda:0", "cuda:1", "cuda:0", "cuda:1"), (4, 1, 2)),
        ({"device": "cuda:1"}, ("cuda:1",), (1, 7, 8)),
        ({"device": "cpu"}, ("cpu",), (1, 7, 8)),
        ({"device": "cpu", "workers": 0}, ("cpu",), (0, 7, 8)),
    ],
)
def test_each_gpu_has_a_worker_with_its_share_of_the_cores(
    flags: dict[str, Any],
    devices: tuple[str, ...],
    each: tuple[int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("extractor.cli.gpu_count", lambda: 2)
    monkeypatch.setattr("extractor.cli.usable_cpus", lambda: 8)
    job = _job(ExtractSettings(**flags), Chosen(tmp_path, "toy:rgb", Library(tmp_path)), {})
    assert job.device_of_each == devices
    assert (job.workers, job.decoders, job.cores) == each


def test_torch_is_not_imported_to_count_gpus() -> None:
    if Path("/dev/kfd").exists():
        pytest.skip("AMD's are counted by torch")
    code = (
        "import sys; from extractor.encoders.devices import gpu_count\n"
        "gpu_count(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Driver:
    """Answers as CUDA's does: 0, or what is wrong."""

    def __init__(self, init: int, asked: int, count: int) -> None:
        self._init, self._asked, self._count = init, asked, count

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self._count
        return self._asked


@pytest.mark.parametrize(("driver", "count"), [((0, 0, 3), 3), ((100, 0, 3), 0), ((0, 999, 3), 0)])
def test_the_driver_says_how_many_gpus_there_are(driver: tuple[int, int, int], count: int) -> None:
    assert seen_by(Driver(*driver)) == count


def test_a_gpu_that_torch_cannot_use_is_told() -> None:
    if gpu_count():
        pytest.skip("there is one")
    with pytest.raises(UsageError) as caught:
        use("cuda:0")
    assert str(caught.value).startswith("device 'cuda:0' cannot be used: ")


@pytest.mark.parametrize(("device", "allows"), [("cuda", False), ("cuda:1", False), ("cpu", True)])
def test_fp32_on_a_gpu_is_all_of_it(device: str, allows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        exactly(device)
        assert torch.backends.cudnn.allow_tf32 is allows
        assert torch.get_float32_matmul_precision() == ("high" if allows else "highest")
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("family", ["open_clip", "clip2video", "s3d", "videoclip", "videococa"])
def test_every_family_of_weights_asks_for_that(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it says what it lacks."""
    asked: list[str] = []
    monkeypatch.setattr(open_clip, "choose_device", lambda device: "cuda")
    monkeypatch.setattr(open_clip, "exactly", asked.append)
    monkeypatch.setattr(open_clip, "wanted", lambda asked, device: "fp32")
    with pytest.raises(EncoderError):
        load(family, device="cuda")
    assert asked == ["cuda"]


@pytest.mark.gpu
def test_torch_counts_as_many() -> None:
    assert gpu_count() == torch.cuda.device_count()


def test_pictures_on_the_processor_are_not_copied() -> None:
    pictures = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    assert moved(pictures, torch.device("cpu")) is pictures


@pytest.mark.gpu
def test_pictures_reach_a_gpu_whole() -> None:
    pictures = torch.randint(0, 256, (16, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(moved(pictures, torch.device("cuda:0")).cpu(), pictures)
