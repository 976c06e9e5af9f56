"""Decoding by a GPU: whether it can be, and what it takes."""

from __future__ import annotations

import ctypes

from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.stream import VideoStream

from core.errors import UsageError

CPU = "cpu"
_KIND = "cuda"
_LIBRARY = "libnvcuvid.so.1"  # of the driver, beside the one for computing


def require(gpus: int) -> None:
    """A UsageError that says what decoding by a GPU lacks here. No GPU is touched."""
    if not gpus:
        raise UsageError("--decoder cuda needs a GPU; no GPU is found.")
    if _KIND not in hwdevices_available():
        raise UsageError("--decoder cuda needs an FFmpeg that was built with it; PyAV's here was not.")
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise UsageError(
            f"--decoder cuda needs the driver's {_LIBRARY}, which is not found; a container is given it by "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video."
        ) from error


def accelerated(decoder: str) -> HWAccel | None:
    """What PyAV is to be told: pictures come back to memory, and what the GPU cannot decode the CPU does."""
    if decoder == CPU:
        return None
    return HWAccel(_KIND, device=decoder.partition(":")[2] or None, allow_software_fallback=True)


def is_by_gpu(stream: VideoStream) -> bool:
    """Whether its pictures, once there are some, were decoded there."""
    return stream.codec_context.pix_fmt == _KIND
