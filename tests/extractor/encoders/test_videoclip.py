"""VideoCLIP from files as its authors' are: clips and seconds, texts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.commands import main
from core.errors import EncoderError, UsageError
from extractor.encoders import how, load, load_again, s3d
from extractor.encoders.base import Pace, frame_rows
from extractor.encoders.contract import check, pictures
from extractor.encoders.convert import converted
from extractor.encoders.videoclip import VideoClip
from extractor.encoders.vocabulary import separated as framed_ids
from extractor.encoders.weights import About, register
from extractor.windows import Windows
from tests.extractor.encoders import tiny_s3d
from tests.extractor.encoders.models import videoclip_file, videoclip_state
from tests.extractor.encoders.passes import passed
from tests.extractor.encoders.traps import SPRUNG, TRAPS, zipped

Held = dict[str, Tensor]
FEATURES, WIDTH = 32, 64


@pytest.fixture(scope="module")
def state() -> Held:
    return videoclip_state(5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, state: Held) -> tuple[Path, Path]:
    """The authors' two files, one of which had to be converted."""
    folder = tmp_path_factory.mktemp("authors")
    converted(videoclip_file(folder / "checkpoint_best.pt", state), folder / "videoclip.safetensors")
    return folder / "videoclip.safetensors", tiny_s3d.file(folder / "s3d_howto100m.pth", 3)


@pytest.fixture(scope="module")
def encoder(
    tmp_path_factory: pytest.TempPathFactory, files: tuple[Path, Path], vocabulary: Path
) -> VideoClip:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CINEDEX_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        patch.setenv("CINEDEX_VOCAB", str(vocabulary))
        return loaded(files)


@pytest.fixture(autouse=True)
def _weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: Path) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("CINEDEX_VOCAB", str(vocabulary))


def loaded(files: tuple[Path, Path], name: str = "videoclip", **options: Any) -> VideoClip:
    found = load(name, weights=files[0], s3d_weights=files[1], **options)
    assert isinstance(found, VideoClip)
    return found


def saved(folder: Path, state: Mapping[str, Any]) -> Path:
    torch.save(dict(state), folder / "videoclip.pt")
    return folder / "videoclip.pt"


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def seconds(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(seed))


def run(start: int, end: int) -> Any:
    return np.arange(start, end)


# --- what it is --------------------------------------------------------------------------------------


def test_it_keeps_the_contract_from_its_files(files: tuple[Path, Path]) -> None:
    check(lambda: loaded(files))


@pytest.mark.slow  # S3D's 30 pictures of each second take long
def test_it_keeps_the_contract_over_features_as_they_come(files: tuple[Path, Path]) -> None:
    check(lambda: loaded(files, "videoclip:raw"))


def test_what_it_is_follows_from_both_files(encoder: VideoClip, files: tuple[Path, Path]) -> None:
    spec = encoder.spec
    assert (spec.name, spec.dim, spec.look.size, spec.pictures_per_feature) == ("videoclip", WIDTH, 224, 30)
    sampling = spec.sampling
    assert (sampling.fps, sampling.clip_seconds, sampling.stride_seconds) == (1, 32, 16)
    assert sampling.keep_frames
    known = [register(file, About(file.name)).hash for file in files]
    assert [spec.weights, dict(spec.options)["s3d"]] == known
    found = how(spec)
    assert [found[name].parent.name for name in ("weights", "s3d_weights")] == known
    assert load_again(spec).spec.fingerprint == spec.fingerprint
    assert encoder.logit_scale == 1


def test_a_store_of_it_names_the_file_that_is_not_here(
    encoder: VideoClip, files: tuple[Path, Path], tmp_path: Path
) -> None:
    register(files[0], About("videoclip"))
    with pytest.raises(
        EncoderError, match=rf"^The weights {dict(encoder.spec.options)['s3d']} of videoclip "
    ):
        how(encoder.spec)


def test_another_s3d_makes_another_encoder(
    encoder: VideoClip, files: tuple[Path, Path], tmp_path: Path
) -> None:
    other = loaded((files[0], tiny_s3d.file(tmp_path / "other.pth", 4)))
    assert other.spec.weights == encoder.spec.weights
    assert other.spec.fingerprint != encoder.spec.fingerprint
    assert loaded(files, "videoclip:raw").spec.fingerprint != encoder.spec.fingerprint


def test_a_second_has_length_1_unless_it_is_to_be_as_it_comes(
    encoder: VideoClip, files: tuple[Path, Path]
) -> None:
    shown = pictures(encoder, 60)
    units, raw = encoder.features(shown), loaded(files, "videoclip:raw").features(shown)
    lengths = raw.norm(dim=-1, keepdim=True)
    assert units.shape == raw.shape == (2, FEATURES)
    assert off(units * lengths, raw) < 1e-5 and off(lengths, torch.ones(2, 1)) > 1e-2


@pytest.mark.slow
def test_random_weights_are_of_the_authors_sizes() -> None:
    one = load("videoclip", random_weights=1)
    assert (one.spec.dim, one.spec.weights, one.spec.options) == (768, "random:1", ())
    assert one.texts(["red"]).shape == (1, 768)
    assert sum(each.numel() for each in one._model.parameters()) > 175e6  # type: ignore[attr-defined]


# --- clips and seconds -------------------------------------------------------------------------------


def test_rows_have_lengths_of_their_own(encoder: VideoClip) -> None:
    lengths = encoder.clips(seconds(64), [run(0, 32), run(16, 48), run(3, 4)]).norm(dim=-1)
    assert float(lengths.std() / lengths.mean()) > 1e-3


def test_a_clip_is_the_mean_of_its_seconds_and_its_end(encoder: VideoClip) -> None:
    held, mask = seconds(11), torch.ones(1, 11, dtype=torch.bool)
    states = encoder._model.seconds(held[None], mask, sees_start=True)[0]
    assert states.shape == (13, WIDTH)
    assert off(encoder.clips(held, [run(0, 11)])[0], states[1:].mean(dim=0)) < 1e-6


def test_padding_changes_nothing(encoder: VideoClip) -> None:
    """The authors fill up with seconds of zeros, to 32."""
    held, mask = torch.zeros(1, 32, FEATURES), torch.zeros(1, 32, dtype=torch.bool)
    held[0, :11], mask[0, :11] = seconds(11), True
    padded = encoder._model.videos(held, mask)[0]
    assert off(encoder.clips(seconds(11), [run(0, 11)])[0], padded) < 1e-5
    held[0, 11:] = 9
    assert off(encoder._model.videos(held, mask)[0], padded) < 1e-5


def test_clips_that_share_a_batch_do_not_see_each_other(encoder: VideoClip) -> None:
    held, counts = seconds(200), [32, 7, 1, 3, 31, 32, 2, 5] * 12
    index = [run(number, number + count) for number, count in enumerate(counts)]
    for alone, together in zip(index, encoder.clips(held, index), strict=True):
        assert off(encoder.clips(held, [alone])[0], together) < 1e-5


def test_of_a_longer_clip_the_first_32_seconds_are_seen(encoder: VideoClip) -> None:
    held = seconds(256)
    long, first, second = encoder.clips(held, [run(0, 256), run(0, 32), run(0, 31)])
    assert torch.equal(long, first) and off(second, first) > 1e-3


def test_of_forty_minutes_every_second_has_a_row_and_every_clip_its_own(encoder: VideoClip) -> None:
    held, sampling = seconds(2400), encoder.spec.sampling
    windows = Windows[Tensor](sampling, around=encoder.around)
    found = [each for at, second in enumerate(held) for each in windows.push(at, at + 1, second)]
    frames, clips = [], []
    for window in [*found, *windows.finish()]:
        features, index = torch.stack(window.features), [row.index for row in window.frames]
        frames += [frame_rows(encoder, features, window.runs, index)] if index else []
        clips += [encoder.clips(features, [row.index for row in window.clips])]
    rows = torch.cat(frames)
    assert rows.shape == (2400, WIDTH) and len(torch.cat(clips)) == 149
    mean = encoder.frames(held, [run(1184, 1216), run(1200, 1232)])[[17, 32 + 1]].mean(dim=0)
    assert off(rows[1201], mean) < 1e-5
    assert off(torch.cat(clips)[-1], encoder.clips(held, [run(2368, 2400)])[0]) < 1e-5


def test_the_order_of_seconds_counts(encoder: VideoClip) -> None:
    forth, back = encoder.clips(seconds(12), [run(0, 12), run(0, 12)[::-1].copy()])
    assert off(forth, back) > 1e-3


def test_the_row_of_a_second_depends_on_what_is_around_it(encoder: VideoClip) -> None:
    held = seconds(40)
    alone, among = encoder.frames(held, [run(5, 6)])[0], encoder.frames(held, [run(0, 32)])[5]
    assert off(alone, among) > 1e-2
    together = encoder.frames(held, [run(0, 32), run(16, 40), run(5, 6)])
    assert together.shape == (32 + 24 + 1, WIDTH)
    assert off(together[5], among) < 1e-5 and off(together[-1], alone) < 1e-5
    assert encoder.frames(held, []).shape == (0, WIDTH)
    with pytest.raises(ValueError, match="A run of 33 seconds is longer than 32"):
        encoder.frames(held, [run(0, 33)])


def test_in_rows_of_seconds_nothing_sees_the_start(encoder: VideoClip) -> None:
    held, mask = seconds(9), torch.ones(1, 9, dtype=torch.bool)
    rows = encoder.frames(held, [run(0, 9)])
    seen, hidden = (
        encoder._model.seconds(held[None], mask, sees_start=sees)[0, 1:-1] for sees in (True, False)
    )
    assert off(rows, hidden) < 1e-6 and off(rows, seen) > 1e-4


@pytest.mark.slow  # pictures of sixteen seconds are drawn to try it
def test_in_bf16_clips_are_as_in_fp32(encoder: VideoClip, files: tuple[Path, Path]) -> None:
    quick = loaded(files, pace=Pace("bf16"))
    assert quick.precision.name == "bf16" and (quick.precision.cosine or 0) > 0.9995
    shown = pictures(encoder, 4 * 30)
    one, other = (each.clips(each.features(shown), [run(0, 4), run(2, 3)]) for each in (encoder, quick))
    assert float(torch.cosine_similarity(one, other).min()) > 0.999
    assert torch.equal(encoder.texts(["rain"]), quick.texts(["rain"]))


# --- texts -------------------------------------------------------------------------------------------


def test_a_text_is_cut_at_61_word_pieces(encoder: VideoClip) -> None:
    assert encoder.too_long(["red " * 61, "red " * 62, "", "🐈", "狗" * 62]) == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert torch.equal(*(encoder.texts(["red " * count]) for count in (61, 300)))
    assert off(*(encoder.texts(["red " * count]) for count in (60, 61))) > 1e-4


def test_a_text_is_the_mean_of_its_words_and_its_end_as_the_authors_fill_it_up(encoder: VideoClip) -> None:
    ids = encoder._pieces.ids(["a red circle", ""])
    rows = torch.zeros(2, 64, dtype=torch.int64)
    for line, row in zip(rows, framed_ids(ids, 64), strict=True):
        line[: len(row)] = torch.tensor(row)
    rows = torch.cat([rows[:, :1], rows[:, 2:]], dim=1)
    states = encoder._model.words(rows, rows > 0)
    found = encoder.texts(["a red circle", ""])
    assert off(found[0], states[0, 1:5].mean(dim=0)) < 1e-5
    assert off(found[1], states[1, 1]) < 1e-5  # of nothing it is the end's


def test_a_text_of_anything_has_a_vector_that_no_other_changes(encoder: VideoClip) -> None:
    texts = [
        "",
        "!",
        "🐈",
        "狗在草地上跑",
        "half a pair \ud800",
        "[SEP]",
        "[CLS] a",
        "[PAD]",
        "a b",
        "w " * 90,
    ]
    rows = encoder.texts(texts)
    assert bool(torch.isfinite(rows).all())
    for text, row in zip(texts, rows, strict=True):
        assert off(encoder.texts([text])[0], row) < 1e-5
    apart = torch.cdist(rows, rows) + 9 * torch.eye(len(rows))
    assert float(apart.min()) > 1e-3


def test_case_accents_and_space_do_not_count(encoder: VideoClip) -> None:
    one, other = encoder.texts(["Café  au lait", "cafe au\tlait"])
    assert off(one, other) < 1e-6


# --- files -------------------------------------------------------------------------------------------


def test_the_authors_own_file_is_refused_until_it_is_converted(tmp_path: Path, state: Held) -> None:
    file = videoclip_file(tmp_path / "checkpoint_best.pt", state)
    with pytest.raises(
        EncoderError, match=r"holds more than tensors.*`cinedex convert .*checkpoint_best\.pt"
    ):
        loaded((file, tiny_s3d.file(tmp_path / "s3d.pth", 3)))


def test_half_precision_loads_and_the_prefix_may_be_there_or_not(
    encoder: VideoClip, files: tuple[Path, Path], tmp_path: Path, state: Held
) -> None:
    whole = loaded((saved(tmp_path, state), files[1]))
    assert whole.spec.weights != encoder.spec.weights  # which was in half precision
    held = seconds(9)
    one, other = (each.clips(held, [run(0, 9)]) for each in (encoder, whole))
    assert 0 < off(one, other) < 1e-2
    assert whole.texts(["rain"]).dtype == torch.float32


def test_what_was_fine_tuned_loads_without_its_classifier(
    encoder: VideoClip, files: tuple[Path, Path], tmp_path: Path, state: Held
) -> None:
    classifier = {
        "video_encoder.classifier.weight": torch.ones(779, WIDTH),
        "video_encoder.classifier.bias": torch.ones(779),
    }
    tuned = loaded((saved(tmp_path, state | classifier), files[1]))
    assert off(tuned.texts(["rain"]), encoder.texts(["rain"])) < 1e-2


def changed(state: Held, what: str) -> Held:
    found = dict(state)
    tables = "text_encoder.embeddings."
    match what:
        case "missing":
            del found["video_encoder.bert.pooler.dense.weight"]
        case "telling":
            del found["video_encoder.videomlp.linear1.weight"]
        case "layers":
            found = {key: each for key, each in state.items() if ".encoder.layer." not in key}
        case "gap":
            found = {key.replace("bert.encoder.layer.1", "bert.encoder.layer.7"): each
                     for key, each in state.items()}  # fmt: skip
        case "left over":
            found["mm_encoder.cls.weight"] = torch.zeros(3)
        case "shape":
            found["video_encoder.videomlp.linear2.bias"] = torch.zeros(9)
        case "axes":
            found[f"{tables}word_embeddings.weight"] = torch.zeros(9)
        case "words":
            found[f"{tables}word_embeddings.weight"] = torch.zeros(900, WIDTH)
        case "few words":
            found[f"{tables}word_embeddings.weight"] = torch.zeros(100, WIDTH)
        case "places":
            found[f"{tables}position_embeddings.weight"] = torch.zeros(32, WIDTH)
        case "width":
            found[f"{tables}word_embeddings.weight"] = torch.zeros(900, 60)
        case "widths":
            found[f"{tables}word_embeddings.weight"] = torch.zeros(900, 128)
        case "features":
            found["video_encoder.videomlp.linear1.weight"] = torch.zeros(WIDTH, 16)
    return found


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing", "does not fit videoclip: video_encoder.bert.pooler.dense.weight is missing."),
        ("telling", "does not fit videoclip: video_encoder.videomlp.linear1.weight is missing."),
        ("layers", "video_encoder.bert.encoder.layer.0.intermediate.dense.weight is missing."),
        ("gap", "video_encoder.bert.encoder.layer.1.attention.self.query.weight is missing, "),
        ("left over", "does not fit videoclip: mm_encoder.cls.weight is left over."),
        ("shape", "video_encoder.videomlp.linear2.bias is [9], not [64]."),
        ("axes", "text_encoder.embeddings.word_embeddings.weight is [9], of too few axes."),
        ("words", "it knows 900 word pieces, not 30522."),
        (
            "few words",
            "text_encoder.embeddings.word_embeddings.weight has 100 rows, and at least 103 are needed.",
        ),
        ("places", "text_encoder.embeddings.position_embeddings.weight has 32 rows, and at least 63 are"),
        ("width", "text_encoder.embeddings.word_embeddings.weight is 60 wide, which is no multiple of 64."),
        ("widths", "its vectors of videos have 64 numbers, and those of texts 128."),
        ("features", "videoclip takes 16 numbers a second, and its S3D makes 32 of each."),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_key(
    files: tuple[Path, Path], tmp_path: Path, state: Held, what: str, says: str
) -> None:
    with pytest.raises(EncoderError) as caught:
        loaded((saved(tmp_path, changed(state, what)), files[1]))
    assert says in str(caught.value)


def test_a_truncated_file_and_an_s3d_in_its_place_are_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(files[0].read_bytes()[:-1000])
    with pytest.raises(EncoderError, match="is no safetensors file, or a damaged one"):
        loaded((cut, files[1]))
    with pytest.raises(EncoderError, match=r"does not fit videoclip: it looks like a checkpoint of s3d\.$"):
        loaded((files[1], files[1]))
    with pytest.raises(EncoderError, match=r"does not fit s3d: it looks like a checkpoint of videoclip\.$"):
        loaded((files[0], files[0]))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("trap", ["reduce", "within the weights", "a key", "as the type of the values"])
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int, trap: str
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = [*files]
    bad[which] = zipped(tmp_path / "bad.pt", TRAPS[trap])
    with pytest.raises(EncoderError) as caught:
        loaded((bad[0], bad[1]))
    assert str(caught.value).count("\n") == 0 and "bad.pt" in str(caught.value)
    assert not SPRUNG.exists()


def test_no_second_goes_through_s3d_twice(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3d, "LOOK", replace(s3d.LOOK, size=64))  # the net takes any size
    encoder = loaded(files)
    sampling = encoder.spec.sampling.but({"clip_seconds": 8.0, "stride_seconds": 4.0})
    sizes, rows = passed(encoder, encoder._seconds._video, 40, sampling, monkeypatch)  # of two runs
    assert (sizes, rows) == ([1] * 40, {"frame": 40, "clip": 9})


def test_a_file_beside_random_weights_is_refused(files: tuple[Path, Path]) -> None:
    """Else it would be left out, and the store would name as its file's what is random."""
    for name in ("weights", "s3d_weights"):
        given: Any = {name: files[1], "random_weights": 1}
        says = f"^--{name.replace('_', '-')} and --random-weights exclude each other\\.$"
        with pytest.raises(UsageError, match=says):
            load("videoclip", **given)


def test_without_its_files_it_is_said_where_they_are(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for given, lacks in (
        ({}, "needs --weights FILE and --s3d-weights FILE"),
        ({"weights": files[0]}, "also needs --s3d-weights FILE"),
        ({"s3d_weights": files[1]}, "also needs --weights FILE"),
    ):
        says = rf"^videoclip {lacks}: https://dl\.fbaipublicfiles\.com/.*\.$"
        with pytest.raises(EncoderError, match=says):
            load("videoclip", **given)  # type: ignore[arg-type]
    with pytest.raises(
        EncoderError, match="There is no videoclip:large; there are videoclip and videoclip:raw"
    ):
        load("videoclip:large")
    with pytest.raises(UsageError, match="random"):
        load("videoclip", random_weights=-1)
    assert main(["download", "videoclip"]) == 2
    assert "checkpoint_best.pt" in capsys.readouterr().err


def _line(*words: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["extract", "--videos", str(folder), "--data", str(folder / "data"), *words]


S3D_ITSELF = "extract: --s3d-weights is not for s3d, whose own file is --weights FILE, but for videoclip.\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (_line("--encoder", "videoclip", "--s3d-weights", "x"), "--s3d-weights goes with --weights"),
        (_line("--s3d-weights", "x", "--weights", "x"), "--weights is about an encoder; name it"),
        (_line("--s3d-weights", "x"), "--s3d-weights is about an encoder; name it"),
        (_line("--encoder", "s3d", "--s3d-weights", "x"), S3D_ITSELF),
        (_line("--encoder", "s3d", "--s3d-weights", "x", "--weights", "x"), S3D_ITSELF),
        (_line("--encoder", "s3d:unit", "--s3d-weights", "x", "--random-weights", "1"), S3D_ITSELF),
        (
            _line("--encoder", "toy", "--s3d-weights", "x", "--weights", "x"),
            "--weights is not for toy, which has no weights.",
        ),
        (
            _line("--encoder", "clip2video", "--s3d-weights", "x", "--weights", "x"),
            "--s3d-weights is not for clip2video, but for videoclip.",
        ),
        (
            _line("--encoder", "videoclip", "--s3d-weights", "x", "--weights", "x", "--scale", "pillow"),
            "--scale is not for videoclip, whose pictures are its own.",
        ),
    ],
)
def test_a_flag_that_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: Callable[[Path], list[str]], says: str
) -> None:
    assert main(line(tmp_path)) == 2
    assert says in capsys.readouterr().err
