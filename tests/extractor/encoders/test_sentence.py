"""Captions as people write them."""

from __future__ import annotations

import pytest
from open_clip.tokenizer import SimpleTokenizer

from extractor.encoders.sentence import sentence
from extractor.world.lexicon import SHAPE_WORDS, SIZE_WORDS


@pytest.mark.parametrize(
    "text",
    [
        "a six-sided shape, in the corner; it's a man's black-and-white photo!",
        "two dogs (one of them small) that don't run: they sit.",
        "a star",
        "",
    ],
)
def test_what_a_tokenizer_takes_apart_is_put_together(text: str) -> None:
    tokenizer = SimpleTokenizer()
    assert sentence(tokenizer.decode(tokenizer.encode(text))) == text


def test_the_sample_worlds_words_come_back() -> None:
    tokenizer = SimpleTokenizer()
    words = [form for forms in SHAPE_WORDS.values() for held in forms for form in held]
    words += [word for held in SIZE_WORDS.values() for word in held]
    assert any("-" in word for word in words)
    for word in words:
        assert sentence(tokenizer.decode(tokenizer.encode(word))) == word
