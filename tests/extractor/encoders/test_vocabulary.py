"""BERT's word pieces: found where they usually are, known by their hash, and cut as the authors' code did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.errors import EncoderError, Error
from extractor.download import main
from extractor.encoders import hub, vocabulary
from extractor.encoders.vocabulary import VARIABLE, WordPieces, find, kept, separated, word_pieces

PIECES = ["[PAD]", *(f"[unused{n}]" for n in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SMALL = "".join(f"{piece}\n" for piece in [*PIECES, "play", "##ing", "a", "cafe", "日", "!"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where weights are; nothing is in it."""
    monkeypatch.setenv("CINEDEX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(hub, "cached", lambda repository, names: None)
    return tmp_path / "weights"


def test_words_are_cut_into_the_longest_pieces_that_are_known() -> None:
    small = WordPieces(SMALL)
    play, ing, a, cafe, sun, exclaims = range(104, 110)
    assert small.ids(["Playing a café!", "日日", "zzz", "", " \t ", "x" * 101, "\ud800"]) == [
        [play, ing, a, cafe, exclaims],
        [sun, sun],
        [vocabulary.UNKNOWN],
        [],
        [],
        [vocabulary.UNKNOWN],
        [vocabulary.UNKNOWN],
    ]


def test_special_tokens_that_are_written_out_are_what_they_say() -> None:
    assert WordPieces(SMALL).ids(["[CLS] a [SEP]", "[cls]"]) == [[101, 106, 102], [100, 100, 100]]


def test_videoclip_frames_a_text_by_three_marks_and_cuts_it() -> None:
    assert separated([[7, 8], [], list(range(200, 300))], 64) == [
        [101, 102, 7, 8, 102],
        [101, 102, 102],
        [101, 102, *range(200, 261), 102],
    ]


def test_the_list_is_found_by_its_path_in_a_folder_and_in_a_tokenizers_file(
    vocabulary: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = vocabulary.read_text(encoding="utf-8")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "vocab.txt").write_text(text, encoding="utf-8")
    numbers = {piece: number for number, piece in enumerate(text.split("\n")[:-1])}
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "tokenizer.json").write_text(json.dumps({"model": {"vocab": numbers}}))
    for asked in (vocabulary, tmp_path / "plain", tmp_path / "whole", tmp_path / "whole" / "tokenizer.json"):
        monkeypatch.setenv(VARIABLE, str(asked))
        assert find()[1] == text
    assert word_pieces().ids(["playing"]) == [[2652]]


def test_the_hubs_cache_is_looked_into_and_altered_copies_are_passed_over(
    vocabulary: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vocab.txt").write_text(SMALL)
    (tmp_path / "tokenizer.json").write_text("{")
    held = {
        ("google-bert/bert-base-uncased", "vocab.txt"): tmp_path / "vocab.txt",
        ("google-bert/bert-base-uncased", "tokenizer.json"): tmp_path / "tokenizer.json",
        ("bert-base-uncased", "vocab.txt"): vocabulary,
    }
    monkeypatch.setattr(hub, "cached", lambda repository, names: held.get((repository, names[0])))
    assert find()[0] == vocabulary


def test_where_it_is_nowhere_one_sentence_says_how_to_get_it(folder: Path) -> None:
    with pytest.raises(EncoderError) as caught:
        word_pieces()
    assert str(caught.value) == (
        "BERT's vocabulary is not on this machine: run `cinedex download bert-vocabulary` here, or on "
        f"another machine and copy its folder of weights to {folder}, or let {VARIABLE} name its vocab.txt."
    )


def test_a_list_that_is_named_must_be_the_right_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {
        "altered.txt": (SMALL.encode(), r"altered\.txt \(CINEDEX_VOCAB\) is not BERT's uncased .* sha256 is"),
        "latin.txt": (b"\xe9\n", r"latin\.txt is no vocabulary: it is not UTF-8\."),
        "large.txt": (bytes(17 << 20), r"large\.txt is no vocabulary: it is larger than 16 MiB\."),
        "odd.json": (b"[]", r"odd\.json is no tokenizer\.json with BERT's vocabulary\."),
        "deep.json": (b"[" * 100_000, r"deep\.json is no tokenizer\.json with BERT's vocabulary\."),
        "mixed.json": (b'{"model": {"vocab": {"a": 1, "b": "c"}}}', r"mixed\.json is no tokenizer\.json"),
    }
    for name, (data, says) in cases.items():
        (tmp_path / name).write_bytes(data)
        monkeypatch.setenv(VARIABLE, str(tmp_path / name))
        with pytest.raises(EncoderError, match=says):
            find()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(Error, match=r"The vocabulary .*nowhere does not exist\."):
        find()


def test_download_keeps_it_among_the_weights_where_it_is_found_from_then_on(
    vocabulary: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetched(repository: str, file: str, name: str) -> Path:
        assert (repository, file) == ("google-bert/bert-base-uncased", "vocab.txt")
        return vocabulary

    monkeypatch.setattr(hub, "fetched", fetched)
    assert main(["bert-vocabulary"]) == 0
    assert str(kept()) in capsys.readouterr().out
    assert find()[0] == kept() == folder / "bert-vocabulary" / "vocab.txt"
    assert kept().read_bytes() == vocabulary.read_bytes()


def test_a_hub_with_another_list_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vocab.txt").write_text(SMALL)
    monkeypatch.setattr(hub, "fetched", lambda *_: tmp_path / "vocab.txt")
    assert main(["bert-vocabulary"]) == 1
    assert "gives a vocab.txt with the sha256 " in capsys.readouterr().err and not kept().exists()


def test_whoever_ends_first_of_several_that_keep_offline_it_is_as_before() -> None:
    before, first, second = constants.HF_HUB_OFFLINE, hub.offline(True), hub.offline(True)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert constants.HF_HUB_OFFLINE
    second.__exit__(None, None, None)
    assert before == constants.HF_HUB_OFFLINE


def test_a_hub_that_cannot_be_reached_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert main(["bert-vocabulary"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "cinedex download: The bert-vocabulary is not on this machine, and http://127.0.0.1:9"
    )
    assert said.count("\n") == 1


def test_what_extract_was_told_by_its_environment_is_kept_for_the_server(
    vocabulary: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(vocabulary))
    word_pieces()
    monkeypatch.delenv(VARIABLE)
    assert find()[0] == kept()
