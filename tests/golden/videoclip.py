"""VideoCLIP's texts as it is given them, what its layers make of seconds and words, vectors, and tasks."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.types import EncoderSpec, Look, Sampling
from evaluation.moments import MOMENTS, ranked
from evaluation.segments import targets
from extractor.encoders import vocabulary
from extractor.encoders.base import frame_rows
from extractor.encoders.videoclip import VideoClip
from extractor.encoders.videoclip_model import CAPS, SECONDS, Model, filled, renamed, shape_of
from extractor.windows import Window, Windows
from server import segmenting
from tests.golden import recipe, s3d
from tests.golden.recipe import Array, Manifest

NAME = "videoclip"
_NO_PICTURES: Any = None  # features are given
_SEGMENT = re.compile(r"\(([\d.]+), ([\d.]+), label (\d+)\)")
_PART = (slice(None, 1), slice(None, 6), slice(None, 64))


def made(manifest: Manifest) -> VideoClip:
    """The encoder with the golden's weights, its sizes read off them; the heads no weights tell."""
    config = manifest["config"]["bert"]
    prefix = manifest["checkpoint_prefix"]
    state = {prefix + key: torch.from_numpy(held) for key, held in recipe.weights(manifest).items()}
    state = dict(renamed(state))
    head = config["hidden_size"] // config["num_attention_heads"]
    shape = shape_of(state, file=NAME, name=NAME, head=head)
    spec = EncoderSpec(NAME, shape.text.width, Look(224))
    model = filled(state, shape, file=NAME, name=NAME)
    return VideoClip(spec, model, _NO_PICTURES, _Numbers(), "cpu")


class _Numbers(vocabulary.WordPieces):
    """Texts that are their own numbers."""

    def __init__(self) -> None:
        pass

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [[int(number) for number in text.split()] for text in texts]


def left_out(manifest: Manifest) -> dict[str, str]:
    """What another golden's S3D makes of pictures, where this processor cannot make it."""
    return {"e2e_": why} if "frames" in manifest["inputs"] and (why := s3d.unlike()) else {}


def outputs(manifest: Manifest, expected: dict[str, Array]) -> dict[str, Array]:
    """Every array."""
    given = recipe.inputs(manifest, expected)
    with torch.inference_mode():
        if "weights_from" in manifest["config"]:
            of = Path(manifest["folder"]) / f"{manifest['config']['weights_from']}.json"
            found = _tasks(made(recipe.load(of)[0]), given, expected["mcqa_scores"].shape[1])
            told = manifest["outputs"]["video_targets"]["what"]
            return found | {"video_targets": _targets(told, len(given["long_video"]))}
        encoder = made(manifest)
        found = _vectors(encoder, given, expected)
        return found | _end_to_end(manifest, encoder, given, found)


def _vectors(encoder: VideoClip, given: dict[str, Array], expected: dict[str, Array]) -> dict[str, Array]:
    videos = _numbered(given, "features")
    rows = _rows(given["text_ids_raw"])
    caps = np.zeros((len(rows), CAPS), np.int64)
    for line, row in zip(caps, vocabulary.separated(rows, CAPS), strict=True):
        line[: len(row)] = row
    cmasks = np.arange(CAPS) < (3 + np.minimum([len(row) for row in rows], CAPS - 3))[:, None]
    padded, mask = zip(*map(_padded, videos), strict=True)
    model, parts = encoder._model, dict[str, Tensor]()
    with _watched(model, parts):
        seconds = model.seconds(torch.stack(padded), torch.stack(mask), sees_start=True)
        words = model.words(
            torch.from_numpy(np.delete(caps, 1, axis=1)), torch.from_numpy(np.delete(cmasks, 1, axis=1))
        )
    pooled = torch.cat([encoder.clips(video, [np.arange(len(video))]) for video in videos])
    texts = encoder.texts([" ".join(map(str, row)) for row in rows])
    found: dict[str, Any] = {
        "caps": caps,
        "cmasks": cmasks,
        "vmasks": torch.stack(mask),
        "pooled_video": pooled,
        "pooled_text": texts,
        "scores_text_by_video": texts @ pooled.T,
        "video_tokens": seconds[: len(expected["video_tokens"])],
        "text_tokens": words[: len(expected["text_tokens"])],
        **{f"part_{name}": part[_PART] for name, part in parts.items()},
    }
    return {name: np.asarray(each) for name, each in found.items()}


def _end_to_end(
    manifest: Manifest, encoder: VideoClip, given: dict[str, Array], found: dict[str, Array]
) -> dict[str, Array]:
    """From pictures, by the S3D of another golden, whose features are taken as they come."""
    if "frames" not in given:
        return {}
    of = recipe.load(Path(manifest["folder"]) / "s3d_full.json")[0]
    of |= {"inputs": {"frames": {"kind": "stored"}}}
    made = s3d.as_theirs("tests.golden.videoclip", of, {"frames": given["frames"][0]})
    features = torch.from_numpy(made["features"])
    row = encoder.clips(features, [np.arange(len(features))]).numpy()
    return {"e2e_pooled_video": row, "e2e_score": row @ found["pooled_text"][0]}


@torch.inference_mode()
def features_of(manifest: Manifest, given: dict[str, Array]) -> dict[str, Array]:
    """S3D's, of seconds of pictures."""
    seconds = torch.from_numpy(given["frames"]).permute(0, 4, 1, 2, 3)
    return {"features": s3d.made(manifest).video(seconds).numpy()}


@contextmanager
def _watched(model: Model, into: dict[str, Tensor]) -> Iterator[None]:
    """What each part of the model makes."""
    bert, text = model.video_encoder.bert, model.text_encoder
    watched: dict[str, nn.Module] = {"videomlp": model.video_encoder.videomlp}
    for name, each in (("video", bert), ("text", text)):
        watched[f"{name}_embeddings"] = each.embeddings
        watched |= {f"{name}_layer{number}": layer for number, layer in enumerate(each.encoder.layer)}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: into.__setitem__(name, output))
        for name, module in watched.items()
    ]
    yield
    for hook in hooks:
        hook.remove()


def _numbered(given: dict[str, Array], before: str) -> list[Tensor]:
    """The inputs whose names are that and a number, by their numbers."""
    numbers = sorted(int(number) for name in given if (number := name.removeprefix(before)).isdigit())
    return [torch.from_numpy(given[f"{before}{number}"]) for number in numbers]


def _rows(ids: Array) -> list[list[int]]:
    return [[int(number) for number in row if number >= 0] for row in ids]


def _padded(video: Tensor) -> tuple[Tensor, Tensor]:
    """As the authors give it: 32 seconds, of which those behind its end are zeros."""
    found, count = torch.zeros(SECONDS, video.shape[1]), min(SECONDS, len(video))
    found[:count] = video[:count]
    return found, torch.arange(SECONDS) < count


def _tasks(encoder: VideoClip, given: dict[str, Array], texts: int) -> dict[str, Array]:
    """So many texts are the multiple choice's."""
    video = torch.from_numpy(given["long_video"])
    windows, states = _of_seconds(encoder, video)
    runs = [run for window in windows for run in window.runs]
    labels = encoder.texts([" ".join(map(str, row)) for row in _rows(given["label_ids_raw"])])
    vectors = labels.numpy()
    scores = vectors @ states.T
    best = np.sort(scores.max(axis=0))
    bar, median = segmenting.background(vectors), best[(len(best) - 1) // 2]  # the lower one of the two
    moments = _numbered(given, "moment_video")
    whole = torch.cat([encoder.clips(each, [np.arange(len(each))]) for each in moments])
    choices = (whole @ labels[:texts].T).numpy()
    return {
        "window_starts": np.array([run[0] for run in runs]),
        "window_vmasks": np.arange(SECONDS) < np.array([len(run) for run in runs])[:, None],
        "coin_label_embeddings": vectors,
        "coin_threshold": np.float32(bar),
        "coin_logits": scores.T,
        "coin_prediction": segmenting.labelled(scores, bar) + 1,
        "coin_prediction_at_median": segmenting.labelled(scores, float(median)) + 1,
        "coin_median_threshold": np.float32(median),
        "crosstask_window_logits": encoder.frames(video, runs).numpy() @ vectors.T,
        "crosstask_log_softmax": segmenting.shares(scores).T,
        "didemo_ranking": np.stack(
            [_moments(encoder, *pair) for pair in zip(moments, vectors, strict=False)]
        ),
        "didemo_feature_lengths": np.array([len(each) for each in moments]),
        "mcqa_choice": choices.argmax(axis=1),
        "mcqa_scores": choices,
    }


def _of_seconds(encoder: VideoClip, video: Tensor) -> tuple[list[Window[Tensor]], Array]:
    """A long video's windows, and its frame rows, as extraction makes them."""
    windows = Windows[Tensor](
        Sampling(clip_seconds=SECONDS, stride_seconds=SECONDS // 2), around=encoder.around
    )
    found = [each for second, feature in enumerate(video)
             for each in windows.push(second, second + 1, feature)]  # fmt: skip
    found += windows.finish()
    rows = [frame_rows(encoder, torch.stack(each.features), each.runs, [row.index for row in each.frames])
            for each in found if each.frames]  # fmt: skip
    return found, torch.cat(rows).numpy()


def _targets(told: str, seconds: int) -> Array:
    """Of the segments that the manifest speaks of."""
    segments = [(float(start), float(end), int(label)) for start, end, label in _SEGMENT.findall(told)]
    return targets(segments, seconds)


def _moments(encoder: VideoClip, video: Tensor, text: Array) -> Array:
    """A line of the golden's ranking."""
    states = encoder.moment_states(video)
    found = np.full((len(MOMENTS), 2), -1)
    for line, moment in zip(found, ranked(states.numpy(), text, len(video)), strict=False):
        line[:] = moment
    return found


if __name__ == "__main__":
    s3d.main(Path(sys.argv[1]), features_of)
