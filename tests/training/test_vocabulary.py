"""The pruned vocabulary: small, read by open_clip as it is, and cutting as all of it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from open_clip.tokenizer import SimpleTokenizer

from extractor.world.chance import Chance
from extractor.world.claims import claim
from extractor.world.drawn import scene
from extractor.world.grammar import sentence
from extractor.world.lexicon import words
from training.vocabulary import write_vocabulary


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    path = tmp_path_factory.mktemp("vocabulary") / "bpe.txt.gz"
    return path, write_vocabulary(path, words() | {",", ":", "-"})


def test_it_is_as_large_as_it_says_and_small(written: tuple[Path, int]) -> None:
    path, pieces = written
    assert SimpleTokenizer(bpe_path=str(path)).vocab_size == pieces < 1300
    assert path.stat().st_size < 3000


def test_captions_are_cut_into_the_same_pieces_as_by_all_of_clips(written: tuple[Path, int]) -> None:
    small, whole = SimpleTokenizer(bpe_path=str(written[0])), SimpleTokenizer()
    chance, longest = Chance(0), 0
    for number in range(1500):
        text = sentence(claim(scene("test", 0, number), chance), chance)
        cut = [small.decoder[piece] for piece in small.encode(text)]
        assert cut == [whole.decoder[piece] for piece in whole.encode(text)]
        longest = max(longest, len(cut))
    assert 50 < longest < 126


def test_other_texts_are_cut_without_a_word(written: tuple[Path, int]) -> None:
    small = SimpleTokenizer(bpe_path=str(written[0]))
    for text in ("quarterly tax report", "ein roter Kreis", "红色的星", "\N{PILE OF POO}"):
        assert small.decode(small.encode(text)).strip() == text.lower()


def test_the_file_is_the_same_again(written: tuple[Path, int], tmp_path: Path) -> None:
    write_vocabulary(tmp_path / "again.gz", words() | {",", ":", "-"})
    assert (tmp_path / "again.gz").read_bytes() == written[0].read_bytes()
