"""Words of texts and of queries."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.terms import MOST_TERMS, Term, Terms, terms, tokens


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The RED truck, at night!", "the red truck at night"),
        ("Don't stop", "don t stop"),
        ("naïve Élan ﬁne Straße İstanbul e\u0301", "naive elan fine strasse istanbul e"),
        ("Привет, Ёлка", "привет елка"),
        ("Ελλάδα ΟΔΟΣ οδός", "ελλαδα οδοσ οδοσ"),
        ("שָׁלוֹם עולם", "שלום עולם"),
        ("أهلاً بالعالم", "اهلا بالعالم"),
        ("हिन्दी में", "हिन्दी में"),
        ("films/cats_2024-05.mp4", "films cats 2024 05 mp4"),
        ("東京都の猫", "東京 京都 都の の猫 猫"),
        ("ｶﾞｷﾞ か\u3099", "ガギ ギ が"),
        ("고양이가", "고양 양이 이가 가"),
        ("สวัสดี", "สวั วัส สดี ดี"),
        ("iPhone手机 3.5kg", "iphone 手机 机 3 5kg"),
        ("a\u200db \u202eabc\u00ad", "ab abc"),
        ('🎉 ♪ \0 * " ( NEAR', "near"),
        ("", ""),
    ],
)
def test_a_text_is_cut_into_words_whatever_its_language(text: str, found: str) -> None:
    assert tokens(text) == found.split()


def words(*held: str) -> tuple[Term, ...]:
    return tuple(Term(tuple(each.rstrip("*").split()), each.endswith("*")) for each in held)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("red truck", Terms((), words("red", "truck"), Term(("red", "truck")))),
        ("red red", Terms((), words("red"))),
        ("don't", Terms((), words("don t"))),
        ("tru*", Terms((), words("tru*"))),
        ('say "hello world"', Terms(words("hello world"), words("say"))),
        ("say “hello world”", Terms(words("hello world"), words("say"))),
        ('"', Terms()),
        ('a "b', Terms((), words("a", "b"), Term(("a", "b")))),
        ("猫", Terms((), words("猫*"))),
        ("東京都", Terms((), words("東京", "京都"), Term(("東京", "京都")))),
        ('"東京都"', Terms(words("東京 京都"))),
        ('"黒い 猫"', Terms(words("黒い い 猫*"))),
        ("🎉 ♪", Terms()),
        (
            "NEAR(a b) AND -c:d",
            Terms((), words("near a", "b", "and", "c d"), Term(tuple(["near", "a", "b", "and", "c", "d"]))),
        ),
    ],
)
def test_a_query_is_phrases_and_words(query: str, found: Terms) -> None:
    assert terms(query) == found


def test_what_is_found_in_a_script_without_spaces_is_any_run_of_characters() -> None:
    text = "東京都の黒い猫"
    held = tokens(text)
    for first in range(len(text)):
        for end in range(first + 1, len(text) + 1):
            (term,) = terms(f'"{text[first:end]}"').quoted
            count = len(term.tokens)
            runs = [held[at : at + count] for at in range(len(held) - count + 1)]
            whole = [run[-1].startswith(term.tokens[-1]) if term.is_prefix else True for run in runs]
            last = -1 if term.is_prefix else count
            assert any(
                run[:last] == list(term.tokens[:last]) and fits for run, fits in zip(runs, whole, strict=True)
            )


def test_a_long_query_is_cut_to_its_first_words() -> None:
    found = terms(" ".join(f"w{n}" for n in range(500)))
    assert len(found.bare) == MOST_TERMS and found.whole is None
    found = terms(" ".join(f'"q{n}"' for n in range(100)) + " bare")
    assert (len(found.quoted), found.bare) == (MOST_TERMS, ())


def is_clean(token: str) -> bool:
    return bool(token) and all(unicodedata.category(c)[0] in "LNM" for c in token)


@given(st.text())
def test_tokens_are_of_letters_marks_and_digits_only(text: str) -> None:
    held = terms(text)
    found = [*tokens(text), *(token for term in (*held.quoted, *held.bare) for token in term.tokens)]
    assert all(map(is_clean, found))


def test_every_character_can_be_looked_for() -> None:
    """Also those of which the plain form is of several, or none."""
    for number in range(0, sys.maxunicode + 1, 37):
        for token in tokens(f"x{chr(number)}y{chr(number)}"):
            assert is_clean(token) and tokens(token)[0][: len(token)] == token, hex(number)


@given(st.text(min_size=1))
def test_spelling_does_not_depend_on_case_or_composition(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    assert tokens(composed) == tokens(unicodedata.normalize("NFD", text))
