"""S3D computes what it did: a small one against arrays of this code's own, and seconds by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.types import EncoderSpec
from extractor.encoders.base import EXACT
from extractor.encoders.s3d import LOOK, Seconds
from extractor.encoders.s3d_model import PICTURES
from tests.golden import recipe, s3d
from tests.golden.runner import check

OURS = Path(__file__).parent / "data" / "s3d_ours.json"
FULL = Path(__file__).parents[4] / "shared" / "golden" / "s3d_full.json"


def test_a_small_one_computes_what_it_did() -> None:
    found = check(OURS)
    assert found.off and found.code == 0, "\n".join(found.lines())
    if s3d.unlike():
        pytest.skip(s3d.unlike())


def test_where_sums_are_in_another_order_what_is_before_the_gates_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    found = check(OURS)
    assert found.code == 0, "\n".join(found.lines())
    assert {"stage_mean_conv1", "stage_mean_conv_2c", "text_embedding"} <= set(found.off)
    assert not [name for name in found.off if name.startswith(("clips", "extract_", "stage_mean_mixed"))]
    assert [line for line in found.lines() if line.endswith(f"left out: {s3d.unlike()}")]


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ("clips30", ("clips30_", "stage_", "text_")),
        ("clips32", ("clips32_", "text_")),
        ("video_u8", ("extract_", "text_")),
        ("", ("text_",)),
    ],
)
def test_what_it_is_not_given_it_does_not_compute(given: str, begins: tuple[str, ...]) -> None:
    manifest, expected = recipe.load(OURS)
    manifest["inputs"] = {name: manifest["inputs"][name] for name in (given, "text_ids") if name}
    assert s3d.computed(manifest, expected).keys() == {name for name in expected if name.startswith(begins)}
    wanted = {"clips30", "video_u8"} & {given}
    assert bool(s3d.unheld(manifest, expected)) == bool(wanted)


@pytest.mark.slow  # of the authors' sizes
@torch.inference_mode()
def test_a_second_alone_is_as_among_four() -> None:
    """With the golden's weights, whose gates magnify rounding, so that nothing else than its bits will do."""
    if not FULL.is_file():
        pytest.skip(f"{FULL} is not there.")
    manifest, stored = recipe.load(FULL)
    model = s3d.made(manifest)
    seconds = Seconds(EncoderSpec(s3d.NAME, model.video.fc.out_features, LOOK), model.video, "cpu")
    seconds.begin(EXACT)
    shown = torch.from_numpy(recipe.inputs(manifest, stored)["video_u8"]).permute(0, 2, 3, 1)
    four = torch.cat([shown[: 2 * PICTURES], shown[-2 * PICTURES :]])
    rows = seconds(four, is_unit=False)
    alone = torch.cat([seconds(second, is_unit=False) for second in torch.split(four, PICTURES)])
    assert torch.equal(alone, rows)
    assert not torch.equal(rows[0], rows[1])
