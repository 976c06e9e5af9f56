from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.errors import StoreError, UsageError
from core.types import (
    EncoderSpec,
    Look,
    Place,
    Sampling,
    canonical,
    sampling_from_json,
    spec_from_json,
    spec_to_json,
)

SPEC = EncoderSpec(
    "open_clip:ViT-B-32/laion2b", 512, Look(224), weights="abc", options=(("quick_gelu", "1"),)
)
OF_RUNS = EncoderSpec("s3d", 32, Look(224, fit="ffmpeg", sar=False, run=30), weights="abc")


def test_a_spec_survives_json() -> None:
    held = json.loads(canonical(spec_to_json(SPEC)))
    assert spec_from_json(held, Sampling()) == SPEC


def test_the_fingerprint_changes_with_what_changes_vectors_and_with_nothing_else() -> None:
    same = [replace(SPEC, name="open_clip:ViT-B-32/other"), replace(SPEC, sampling=Sampling(fps=2.0))]
    other = [
        replace(SPEC, name="open_clip:ViT-B-16/laion2b"),
        replace(SPEC, dim=256),
        replace(SPEC, look=Look(224, resize="bilinear")),
        replace(SPEC, look=Look(224, scale="swscale")),
        replace(SPEC, look=Look(224, hdr="tonemap")),
        replace(SPEC, look=Look(224, untagged_hd="709")),
        replace(SPEC, weights="abd"),
        replace(SPEC, revision=2),
        replace(SPEC, options=()),
        replace(SPEC, look=Look(224, run=30)),
    ]
    assert {spec.fingerprint for spec in same} == {SPEC.fingerprint}
    assert len({spec.fingerprint for spec in [SPEC, *other]}) == len(other) + 1


def test_of_unknown_weights_the_whole_name_counts() -> None:
    one, other = (EncoderSpec(f"clip:B/{tag}", 3, Look(0), weights="unknown") for tag in ("one", "other"))
    assert one.fingerprint != other.fingerprint != replace(other, weights="").fingerprint
    assert replace(one, weights="").fingerprint == replace(other, weights="").fingerprint


def test_the_fingerprint_of_a_known_spec_never_changes() -> None:
    assert EncoderSpec("toy:rgb", 3, Look(32)).fingerprint == "8948eae3533dd81b"
    assert OF_RUNS.fingerprint == "446853552636740d"


def test_a_feature_is_of_as_many_pictures_as_the_look_gives_at_once() -> None:
    held = json.loads(canonical(spec_to_json(OF_RUNS)))
    assert held["pictures_per_feature"] == held["look"]["run"] == OF_RUNS.pictures_per_feature == 30
    assert spec_from_json(held, Sampling()) == OF_RUNS
    with pytest.raises(StoreError, match="makes a feature of 2 pictures, and its look gives 30 at once"):
        spec_from_json(held | {"pictures_per_feature": 2}, Sampling())


def test_an_unknown_key_of_encoder_or_sampling_is_refused() -> None:
    with pytest.raises(StoreError, match="quality"):
        spec_from_json(spec_to_json(SPEC) | {"quality": 3}, Sampling())
    with pytest.raises(StoreError, match="jitter"):
        sampling_from_json({"fps": 1.0, "jitter": 2})


def test_a_look_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^untagged-hd '240' must be one of 601, 709\.$"):
        Look(224).but({"untagged_hd": "240"})
    held = spec_to_json(SPEC)
    with pytest.raises(StoreError, match="hdr 'vivid' must be one of none, tonemap"):
        spec_from_json(held | {"look": held["look"] | {"hdr": "vivid"}}, Sampling())


def test_a_fingerprint_that_does_not_fit_its_fields_is_refused() -> None:
    with pytest.raises(StoreError, match="fingerprint"):
        spec_from_json(spec_to_json(SPEC) | {"fingerprint": "0" * 16}, Sampling())


@pytest.mark.parametrize(
    "given",
    [{"fps": 0.0}, {"fps": -1.0}, {"fps": float("nan")}, {"clip_seconds": 0.0}, {"stride_seconds": -2.0}],
)
def test_a_sampling_of_nothing_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="greater than 0"):
        Sampling(**given)  # type: ignore[arg-type]


def test_a_clip_of_more_than_256_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 256"):
        Sampling(fps=60.0, clip_seconds=8.0)


def test_a_place_that_is_no_text_can_be_shown() -> None:
    assert Place("films", b"caf\xe9.mp4").shown == "films/caf\ufffd.mp4"
