"""CoCa's poolers over all pictures of a clip, and its decoder a word at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import EncoderError
from extractor.encoders import load, load_again, load_captioner
from extractor.encoders.base import Pace, unit
from extractor.encoders.contract import check, features, pictures
from extractor.encoders.decoder import LEAST, MOST, Decoder, Marks, Sentences, _Finished
from extractor.encoders.recipe import CONFIG
from extractor.encoders.videococa import VideoCoCa
from extractor.encoders.weights import About, register, registered
from tests.extractor.encoders.models import TINY, TINY_COCA, add_model, coca_folder, coca_state
from tests.extractor.encoders.test_open_clip import saved
from tests.extractor.encoders.traps import FEW, require_refused

BROKEN = "coca_ViT-B-32/mscoco_finetuned_laion2b_s13b_b90k"


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    add_model(monkeypatch, tmp_path, "tiny", TINY)
    add_model(monkeypatch, tmp_path, "coca", TINY_COCA)
    vision = TINY_COCA["vision_cfg"] | {"width": 16}  # type: ignore[operator]
    add_model(monkeypatch, tmp_path, "even", TINY_COCA | {"vision_cfg": vision})


@pytest.fixture
def encoder(tmp_path: Path) -> VideoCoCa:
    """Of weights that tell pictures apart."""
    file = saved(tmp_path / "lively.pt", coca_state(2, lively=2.0))
    found = load("videococa:coca", weights=file)
    assert isinstance(found, VideoCoCa)
    return found


def run(count: int) -> Any:
    return np.arange(count)


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


# --- vectors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["coca", "even"])
def test_it_keeps_the_contract(variant: str) -> None:
    check(lambda: load(f"videococa:{variant}", random_weights=3))


@pytest.mark.parametrize("variant", ["coca", "even"])
def test_a_clip_is_what_open_clips_own_pooler_makes_of_all_its_tokens(variant: str) -> None:
    encoder = load(f"videococa:{variant}", random_weights=3)
    assert isinstance(encoder, VideoCoCa)
    tokens, visual = encoder.tokens(pictures(encoder, 6)), encoder.module.visual
    index = [run(6), run(1), np.array([4, 2, 3]), np.array([5, 5])]
    found = encoder.clips(encoder.pooler.sums(tokens), index)
    for row, rows in zip(found, index, strict=True):
        whole = visual.ln_post(visual.attn_pool(tokens[rows].flatten(0, 1)[None]))
        assert off(row, unit(whole[:, 0] @ visual.proj)[0]) <= 2e-6


def test_of_one_picture_it_is_what_open_clip_makes_of_it(encoder: VideoCoCa) -> None:
    shown = pictures(encoder, 3)
    expected = encoder.module.encode_image(encoder.tower.prepared(shown))
    found = encoder.clips(encoder.features(shown), [np.array([number]) for number in range(3)])
    assert off(found, expected) <= 2e-6
    assert not torch.allclose(found[0], found[1], atol=1e-2)


def test_the_order_of_pictures_means_nothing_and_their_tokens_do_as_well(encoder: VideoCoCa) -> None:
    shown = pictures(encoder, 5)
    held, tokens = encoder.features(shown), encoder.tokens(shown)
    forth, back = encoder.clips(held, [run(5), run(5)[::-1].copy()])
    assert off(back, forth) <= 1e-6
    assert off(encoder.clips(tokens, [run(5)])[0], forth) <= 1e-6
    assert held.shape == (5, 2 * 2 + 16) and tokens.shape == (5, 17, 32)


def test_what_one_head_sees_far_more_of_does_not_drown_the_rest(encoder: VideoCoCa) -> None:
    """Logits that float32's exponential does not hold, one picture's far above the others'."""
    sums = encoder.features(pictures(encoder, 2))
    loud = sums.clone()
    loud[1, :2] += 500
    both = encoder.clips(loud, [run(2)])
    assert bool(torch.isfinite(both).all())
    assert off(both[0], encoder.clips(sums, [np.array([1])])[0]) <= 1e-6


def test_many_clips_are_made_a_part_at_a_time(encoder: VideoCoCa) -> None:
    held = features(encoder, 40)
    index = [np.arange(first % 8, first % 8 + 32) for first in range(300)]  # 9,600 points
    found = encoder.clips(held, index)
    assert len(found) == 300
    assert off(found[:8], found[296 - 8 * 16 : 296 - 8 * 15]) <= 1e-6
    assert off(found[299], encoder.clips(held, [index[299]])[0]) <= 1e-6


def test_bf16_is_for_the_blocks_and_the_pooler_stays_exact() -> None:
    exact = load("videococa:coca", random_weights=3)
    half = load("videococa:coca", random_weights=3, pace=Pace("bf16"))
    assert isinstance(half, VideoCoCa)
    assert half.precision.name == "bf16" and (half.precision.cosine or 0) >= 0.9995
    visual = half.module.visual
    assert visual.conv1.weight.dtype == visual.class_embedding.dtype == torch.bfloat16
    assert visual.attn_pool.query.dtype == visual.proj.dtype == torch.float32
    assert half.features(pictures(half, 2)).dtype == torch.float32
    shown = pictures(exact, 12)
    index = [run(12), run(3), np.array([7])]
    cosines = (exact.clips(exact.features(shown), index) * half.clips(half.features(shown), index)).sum(-1)
    assert float(cosines.min()) >= 0.999
    check(lambda: load("videococa:coca", random_weights=3, pace=Pace("bf16")), precision="bf16")


# --- weights -----------------------------------------------------------------------------------------


def test_the_authors_files_are_one_encoder_and_are_recalled(tmp_path: Path) -> None:
    state = coca_state(4)
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}
    files = [saved(tmp_path / "a.safetensors", state), saved(tmp_path / "b.bin", wrapped)]
    one, two = (load("videococa:coca", weights=file) for file in files)
    assert one.spec == two.spec and one.spec.name == "videococa:coca" and one.spec.dim == 16
    random = load("videococa:coca", random_weights=4)
    assert torch.equal(features(one, 2), features(random, 2))
    assert load_again(random.spec).spec == random.spec
    folder = load(f"videococa:local-dir:{coca_folder(tmp_path / 'folder')}")
    assert folder.spec.fingerprint not in (one.spec.fingerprint, random.spec.fingerprint)


def test_half_precision_weights_load(tmp_path: Path) -> None:
    state = coca_state(4)
    half = saved(tmp_path / "half.pt", {name: tensor.half() for name, tensor in state.items()})
    one, two = load("videococa:coca", weights=half), load("videococa:coca", random_weights=4)
    assert off(features(one, 2), features(two, 2)) <= 1e-2


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    state = coca_state(4)
    del state["text_decoder.text_projection"]
    with pytest.raises(EncoderError, match=r"text_decoder\.text_projection is missing\."):
        load("videococa:coca", weights=saved(tmp_path / "a.pt", state))


@pytest.mark.parametrize(
    ("variant", "says"),
    [
        ("", "videococa needs a CoCa of open_clip's, as in videococa:coca_ViT-B-32/laion2b_s13b_b90k."),
        ("tiny", "open_clip:tiny is no CoCa, which videococa needs; coca_ViT-B-32 and coca_ViT-L-14 are."),
        ("nonesuch", "open_clip has no model 'nonesuch'"),
        (
            "coca_base",
            "open_clip:coca_base does not make its vector by the first query of one",
        ),
    ],
)
def test_what_is_no_coca_is_refused(variant: str, says: str) -> None:
    with pytest.raises(EncoderError) as caught:
        load(f"videococa:{variant}", random_weights=1)
    assert says in str(caught.value)


@pytest.mark.parametrize("family", ["videococa", "open_clip"])
def test_the_model_whose_vectors_are_broken_may_write_captions_only(family: str) -> None:
    with pytest.raises(EncoderError, match=r"is for captions only: .*0\.3 % of COCO's") as caught:
        load(f"{family}:{BROKEN}")
    assert f"--captions videococa:{BROKEN}" in str(caught.value)
    with pytest.raises(EncoderError, match="not on this machine"):  # refused no more, but not here
        load_captioner(f"videococa:{BROKEN}")


@pytest.mark.parametrize("family", ["videococa", "open_clip"])
def test_a_file_that_was_downloaded_as_the_broken_one_is_refused_under_a_bare_name(
    family: str, tmp_path: Path
) -> None:
    about = About("the hub", (f"open_clip:{BROKEN}",))
    file = registered(register(saved(tmp_path / "coca.safetensors", coca_state(4)), about).hash)
    with pytest.raises(EncoderError, match=f"^{family}:coca is for captions only"):
        load(f"{family}:coca", weights=file)


# --- captions ----------------------------------------------------------------------------------------


def seen_of(encoder: VideoCoCa, count: int, pictures_each: int = 2) -> Tensor:
    """Caption tokens of so many clips."""
    tokens = encoder.tokens(pictures(encoder, count * pictures_each))
    return encoder.pooler.caption_tokens(tokens.reshape(count, -1, tokens.shape[2]))


def taught(encoder: VideoCoCa, seen: Tensor, ids: Tensor) -> Tensor:
    """open_clip's own, all positions at once and nothing kept."""
    _, words = encoder.module._encode_text(ids)
    found: Tensor = encoder.module.text_decoder(seen, words)
    return found


def test_a_word_at_a_time_is_as_all_at_once_also_behind_what_passes_for_padding(encoder: VideoCoCa) -> None:
    seen, draw = seen_of(encoder, 3), torch.Generator().manual_seed(1)
    ids = torch.randint(1, 49405, (3, 12), generator=draw)
    ids[:, 0] = 49406
    ids[1, 4] = ids[1, 5] = 0  # "!" has the id of padding
    ids[2, 9:] = 0
    sentences = encoder.decoder.begin(seen)
    found = torch.cat([encoder.decoder.step(sentences, column[:, None]) for column in ids.T], dim=1)
    assert off(found, taught(encoder, seen, ids)) <= 2e-6


def test_greedy_takes_what_open_clip_finds_likeliest(encoder: VideoCoCa) -> None:
    seen, marks = seen_of(encoder, 4), Marks(49406, 49407)
    found = encoder.decoder.greedy(seen, marks, 14)
    ids = torch.full((4, 1), marks.start)
    while ids.shape[1] < 13:
        logits = taught(encoder, seen, ids)[:, -1]
        if ids.shape[1] < LEAST:
            logits[:, marks.end] = -torch.inf
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(found[:, :13], ids)
    assert (found[:, 13] == marks.end).all()
    assert len({tuple(row) for row in found.tolist()}) > 1


def eager(encoder: VideoCoCa, seen: Tensor) -> Marks:
    """Let the end be as likely everywhere as half of the likeliest words are."""
    marks, top = Marks(49406, 49407), encoder.module.text_decoder
    top.ln_final.bias[:] = 1
    ids = encoder.decoder.greedy(seen, marks)
    likeliest = taught(encoder, seen, ids).amax(dim=-1).median()
    top.text_projection[:, marks.end] = likeliest / len(top.text_projection)  # what was normed adds up to 0
    return marks


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_captions_end_at_the_end_but_not_too_soon(encoder: VideoCoCa, beams: int) -> None:
    seen = seen_of(encoder, 6)
    marks = eager(encoder, seen)
    rows = (
        encoder.decoder.greedy(seen, marks).tolist()
        if beams == 1
        else encoder.decoder.beamed(seen, beams, marks)
    )
    lengths = [row.index(marks.end) if marks.end in row else MOST for row in rows]
    assert LEAST <= min(lengths) < MOST - 1 and max(lengths) <= MOST
    for row, length in zip(rows, lengths, strict=True):
        assert not any(row[length + 1 :])


@pytest.mark.parametrize("beams", [1, 2, 5])
def test_beams_are_the_likeliest_by_open_clips_own_logits_added_up(encoder: VideoCoCa, beams: int) -> None:
    seen, marks, most = seen_of(encoder, 2), Marks(49406, 49407), 5  # too short to end
    found = encoder.decoder.beamed(seen, beams, marks, most)
    for which, best in enumerate(found):
        held = [(0.0, [marks.start])]
        while len(held[0][1]) < most:
            ids = torch.tensor([mine for _, mine in held])
            logits = taught(encoder, seen[which : which + 1].expand(len(held), -1, -1), ids)[:, -1]
            logits[:, marks.end] = -torch.inf
            totals = logits + torch.tensor([score for score, _ in held])[:, None]
            scores, at = totals.flatten().topk(beams)
            pairs = zip(scores.tolist(), at.tolist(), strict=True)
            held = [(score, [*held[k // 49408][1], k % 49408]) for score, k in pairs]
        assert best == held[0][1]


def test_of_finished_sentences_the_best_mean_is_kept_until_none_can_be_better() -> None:
    finished = _Finished(2)
    finished.add([1, 2], 4.0, 2)
    finished.settle(100.0, 3)
    assert not finished.is_done  # there is room for one more
    finished.add([1, 2, 3], 9.0, 3)
    finished.add([1], 0.5, 1)
    finished.settle(9.0, 4)  # 2.25 a word is more than the weaker one's 2
    assert not finished.is_done and finished.best() == [1, 2, 3]
    finished.settle(8.0, 4)
    assert finished.is_done
    finished.add([9], 99.0, 1)
    assert finished.best() == [1, 2, 3]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_caption_depends_on_its_own_clip_alone(encoder: VideoCoCa, beams: int) -> None:
    tokens = encoder.tokens(pictures(encoder, 24))
    index = [np.arange(first, first + 1 + first % 4) for first in range(20)]
    found = encoder.caption(tokens, index, beams=beams)
    assert len(found) == 20 and len(set(found)) > 3
    for number in (0, 7, 19):
        assert encoder.caption(tokens, [index[number]], beams=beams) == [found[number]]
    assert encoder.caption(tokens, [], beams=beams) == []


class Scripted(Decoder):
    """Writes sentences of its own choice, one a clip, by the number that each clip's tokens hold."""

    def __init__(self, model: Any, sentences: list[list[int]], words: int) -> None:
        super().__init__(model)
        self._sentences, self._words = sentences, words

    def begin(self, seen: Tensor) -> Sentences:
        self._clips = seen[:, 0, 0].round().int().tolist()
        return Sentences([], [], [])

    def step(self, sentences: Sentences, ids: Tensor) -> Tensor:
        logits = torch.zeros(len(ids), 1, self._words)
        for line, clip in enumerate(self._clips):
            held = self._sentences[clip]
            logits[line, 0, held[sentences.position] if sentences.position < len(held) else 7] = 1
        sentences.position += 1
        return logits


def test_a_caption_that_ends_with_what_passes_for_padding_is_the_same_beside_a_longer_one(
    encoder: VideoCoCa, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = encoder._tokenizer.encode
    said = ["a dog runs on the grass !", "a man and a woman dance in the middle of a hall", "a cat !"]
    lines = [[*words(said[0][:-2]), 0], [*words(said[1]), 49407], [*words(said[2][:-2]), 0]]
    monkeypatch.setattr(encoder, "decoder", Scripted(encoder.module, lines, 49408))
    monkeypatch.setattr(encoder, "_seen", lambda tokens, index: tokens[np.concatenate(index)])
    clips = torch.arange(3.0)[:, None, None]
    index = [np.array([number]) for number in range(3)]
    meant = [text.replace(" !", "!") for text in said]
    assert encoder.caption(clips, index, beams=1) == meant
    assert [encoder.caption(clips, [mine], beams=1) for mine in index] == [[each] for each in meant]


def test_marks_are_no_words(encoder: VideoCoCa) -> None:
    marks = Marks(49406, 49407)
    words = encoder._tokenizer.encode("a red  circle")
    assert encoder._sentence([marks.start, *words, marks.end, *words, 0], marks) == "a red circle"
    assert encoder._sentence([marks.start, marks.end], marks) == ""


def test_texts_that_look_like_marks_or_are_padding_are_read_as_open_clip_does(encoder: VideoCoCa) -> None:
    texts = [
        "a cat",
        "",
        "!!! wow !",
        "<|startoftext|> a cat",
        "<start_of_text>",
        "猫が走る 🐈",
        "word " * 200,
    ]
    expected = unit(encoder.module.encode_text(encoder._tokenizer(texts)))
    assert off(encoder.texts(texts), expected) <= 1e-6
    assert encoder.too_long(texts) == [False] * 6 + [True]


@pytest.mark.parametrize(
    ("part", "config", "says"),
    [
        ("vision_cfg", {"attentional_pool": "parallel"}, "the first query of one attentional pooler"),
        ("vision_cfg", {"pool_type": "avg"}, "the first query of one attentional pooler"),
        ("text_cfg", {"embed_cls": False}, "reads texts with another model"),
    ],
)
def test_a_config_of_another_kind_is_refused(part: str, config: Any, says: str, tmp_path: Path) -> None:
    odd = TINY_COCA | {part: TINY_COCA[part] | config}
    (tmp_path / CONFIG).write_text(json.dumps({"model_cfg": odd}))
    with pytest.raises(EncoderError, match=says):
        load(f"videococa:local-dir:{tmp_path}", random_weights=1)


@pytest.mark.parametrize("trap", FEW)
def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.chdir(tmp_path)
    require_refused(lambda file: load("videococa:coca", weights=file), tmp_path, trap)
