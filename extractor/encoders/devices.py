"""Where encoders compute: on the processor, or on GPUs."""

from __future__ import annotations

import ctypes
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CPU = "cpu"
_GPUS = re.compile(r"cuda(?::([0-9]{1,4}(?:,[0-9]{1,4})*))?")


def choose_device(asked: str = "auto") -> str:
    """ "auto": a GPU where there is one. Anything else must be there."""
    if "," in asked:
        raise UsageError(f"device {asked!r} is several; one of them is needed, as in 'cuda:1'.")
    found = devices_of(asked, None, gpu_count())
    return found[0] if ":" in asked or found[0] == CPU else "cuda"


def devices_of(asked: str, workers: int | None, count: int) -> tuple[str, ...]:
    """Those that so many workers, or one for each, are to use, where `count` GPUs are."""
    found = _meant(asked, count)
    if workers is not None and "," in asked and workers < len(found):
        raise UsageError(
            f"--workers {workers} would leave some of --device {asked} idle; give {len(found)} or more, or "
            "leave --workers out."
        )
    return found if workers is None else found[: max(1, workers)]


def _meant(asked: str, count: int) -> tuple[str, ...]:
    if asked == CPU or (asked == "auto" and not count):
        return (CPU,)
    gpus = _GPUS.fullmatch("cuda" if asked == "auto" else asked)
    if gpus is None:
        raise UsageError(
            f"device {asked!r} is unknown; 'auto', 'cpu', 'cuda', 'cuda:1' and 'cuda:0,1' are known."
        )
    numbers = [int(number) for number in gpus[1].split(",")] if gpus[1] else list(range(count))
    if not numbers or max(numbers) >= count:
        raise UsageError(f"device {asked!r} is not on this machine; {_found(count)}.")
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"device {asked!r} names a GPU twice; --workers says how many use each.")
    return tuple(f"cuda:{number}" for number in numbers)


def _found(count: int) -> str:
    return f"{count} GPU{'s are' if count > 1 else ' is'} found" if count else "no GPU is found"


def gpu_count() -> int:
    """How many GPUs torch can use. To ask for NVIDIA's, torch need not be imported."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return _count_by_torch() if Path("/dev/kfd").exists() else 0  # AMD's, which torch also calls cuda
    return seen_by(driver) if _has_torch_for_it() else 0


def seen_by(driver: Any) -> int:
    """How many GPUs CUDA's driver shows to this process, by CUDA_VISIBLE_DEVICES too; none is touched."""
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def _has_torch_for_it() -> bool:
    """Or torch was built for processors alone."""
    torch = find_spec("torch")
    return torch is not None and (Path(torch.origin or "").parent / "lib/libtorch_cuda.so").exists()


def _count_by_torch() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def use(device: str) -> None:
    """Let all that this process does on a GPU, pinning memory too, be on that one and not on another, and
    what is fp32 be that."""
    exactly(device)
    if device.startswith("cuda:"):
        import torch

        try:
            torch.cuda.set_device(device)
        except (RuntimeError, AssertionError) as error:  # its driver is too old, or another program has it
            why = str(error).strip().splitlines()[0].rstrip(".")
            raise UsageError(f"device {device!r} cannot be used: {why}.") from error


def exactly(device: str) -> None:
    """Let what is computed in fp32 on a GPU be so: by default torch gives convolutions TF32, whose numbers
    have ten bits behind the point."""
    if device.startswith("cuda"):
        import torch

        torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")


def moved(pictures: Tensor, device: torch.device) -> Tensor:
    """Bytes, as they are; a GPU gets them while it is still busy with those before."""
    if device.type == "cuda" and pictures.device.type == CPU:
        return pictures.pin_memory().to(device, non_blocking=True)
    return pictures.to(device)
