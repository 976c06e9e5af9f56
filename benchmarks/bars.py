"""What `benchmarks/extract.py` measures, and what each must reach. Nearly all are ratios within one run, in
CPU seconds of all processes: they mean the same on every machine. What stands in braces is
as much as was measured: `--quick` takes less."""

from __future__ import annotations

from benchmarks.figures import Bar

_PLANNED = "decoding everything ÷ planned decoding"
_PLAIN = "the plain loop ÷ ours"
_PEAK = "peak memory above the model's own, one decoder"

BARS = {
    "film_of_bound": Bar("the bound ÷ ours, film of 1080p, 1 fps", 0.90, 0.95),
    "film_of_bound_beside": Bar("the same, of a bound that decodes and encodes side by side"),
    "clips_of_bound": Bar("the bound ÷ ours, real clips, 1 fps", 0.88, 0.92),
    "clips_of_bound_beside": Bar("the same, of a bound that decodes and encodes side by side"),
    "film_to_plain": Bar(f"{_PLAIN} at best precision, film, 1 fps", 2.6, 3.0),
    "clips_to_plain": Bar(f"{_PLAIN} at best precision, real clips, 1 fps", 2.4, 2.6),
    "film_to_plain_tenth": Bar(f"{_PLAIN} at best precision, film, 0.1 fps", 8.0, 12.0),
    "film_to_plain_fp32": Bar(f"{_PLAIN} in fp32, film, 1 fps", 1.35, 1.5),
    "clips_to_plain_fp32": Bar(f"{_PLAIN} in fp32, real clips, 1 fps", 1.05, 1.1),
    "h264_planned": Bar(f"{_PLANNED}, H.264, 1 fps", 2.0, 2.4),
    "h264_planned_tenth": Bar(f"{_PLANNED}, H.264, 0.1 fps", 8.0, 15.0),
    "hevc_planned": Bar(f"{_PLANNED}, HEVC, 1 fps", 2.0, 2.4),
    "hevc_planned_tenth": Bar(f"{_PLANNED}, HEVC, 0.1 fps", 8.0, 15.0),
    "vp9_planned": Bar(f"{_PLANNED}, VP9, 1 fps", 1.4, 1.8),
    "vp9_planned_tenth": Bar(f"{_PLANNED}, VP9, 0.1 fps", 5.0, 10.0),
    "av1_planned": Bar(f"{_PLANNED}, AV1, 1 fps", 1.4, 1.8),
    "av1_planned_tenth": Bar(f"{_PLANNED}, AV1, 0.1 fps", 5.0, 10.0),
    "clips_planned": Bar(f"{_PLANNED}, all real clips, 1 fps", 1.1, 1.2),
    "clips_planned_uniform": Bar(f"{_PLANNED}, all real clips, 8 uniform", 3.0, 3.7),
    "clips_planned_keyframes": Bar(f"{_PLANNED}, all real clips, keyframes", 10.0, 19.0),
    "never_slower": Bar(
        "planned − 1.02 × everything, of the worst file whose plan holds", 1.0, 1.0, "lower", "ms"
    ),
    "wall_to_share": Bar("wall ÷ max(decode, encode), film, 1 fps, idle cores", None, 1.15, "lower"),
    "tiny": Bar("tiny videos: pictures a CPU second ÷ those of one long video", 0.90, 0.95),
    "memory_4k": Bar(f"{_PEAK}, 4K", 1.5, 1.0, "lower", "GiB"),
    "memory_8k": Bar(f"{_PEAK}, 8K", 2.5, 2.0, "lower", "GiB"),
    "memory_long": Bar(_PEAK + ", a film of {hours} h and {packets:,} packets", 1.5, 1.0, "lower", "GiB"),
    "memory_many": Bar(_PEAK + ", {videos:,} tiny videos", 1.5, 1.0, "lower", "GiB"),
    "gpu_clips": Bar("of the bare ViT-L-14 rate, 360p clips at 8 fps, decoding included", None, 0.8),
    "gpu_keyframes": Bar("of the bare ViT-L-14 rate, keyframes of 1080p, decoding included", None, 0.8),
}
