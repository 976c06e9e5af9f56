"""Library texts: three kinds of file, the same texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UsageError
from extractor.texts import Text, TextListing, is_text, text_id, texts_target


def read(path: Path, data: str | bytes) -> dict[str, Text]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    listing = TextListing(texts_target(path))
    places = list(listing)
    assert [place.path for place in places] == list(listing.texts)
    assert all(is_text(place) for place in places)
    assert [place.stamp for place in places] == [text_id(text.text) for text in listing.texts.values()]
    return {name.decode().partition("#")[2]: text for name, text in listing.texts.items()}


def test_each_line_of_a_txt_is_a_text(tmp_path: Path) -> None:
    found = read(tmp_path / "a.txt", "\ufeffa cat\n\n  a dög \na cat\n")
    assert found == {text_id("a cat"): Text("a cat"), text_id("a dög"): Text("a dög")}


def test_a_jsonl_has_keys_and_columns(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.jsonl",
        '{"text": "a cat", "key": "k1", "year": 1999, "tags": ["x", "y"]}\n'
        '{"id": 7, "caption": "a dog", "note": null}\n\n"plain"\n{"text": "  "}\n',
    )
    columns = '{"tags":["x","y"],"year":1999}'
    assert found == {
        "k1": Text("a cat", columns),
        "7": Text("a dog"),
        text_id("plain"): Text("plain"),
    }


def test_a_csv_has_keys_and_columns(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", 'key,caption,place\nk1,"a cat,\nasleep",Rome\nk2,a dog,\nk3,,Bonn\n')
    assert found == {"k1": Text("a cat,\nasleep", '{"place":"Rome"}'), "k2": Text("a dog")}


def test_the_only_column_of_a_csv_is_the_text(tmp_path: Path) -> None:
    assert list(read(tmp_path / "a.csv", "sentence\na cat\na dog\n").values()) == [
        Text("a cat"),
        Text("a dog"),
    ]


def test_a_places_path_is_the_files_with_the_key_behind_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "a.jsonl"
    path.write_text('{"text": "a cat", "key": "k"}\n')
    place = next(iter(TextListing(texts_target(path, known={"all": tmp_path}))))
    assert (place.root, place.path) == ("all", b"sub/a.jsonl#k")
    assert next(iter(TextListing(texts_target(path, "mine")))).root == "mine"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "a.jsonl line 2: it is not JSON: "),
        ("a.jsonl", "[1]\n", r"line 1: it must be an object \(got '\[1\]'\)."),
        ("a.jsonl", '{"txt": "a"}\n', "line 1: it has no field 'text' or 'caption'."),
        ("a.jsonl", '{"text": 5}\n', r"line 1: its text must be a string \(got 5\)."),
        ("a.jsonl", '{"text": "a", "key": [1]}\n', "line 1: its key must be a string or a whole number"),
        ("a.jsonl", '{"text": "a", "key": true}\n', "line 1: its key must be a string or a whole number"),
        ("a.jsonl", f'{{"text": {"[" * 100_000}\n', "line 1: it is nested deeper than 64 levels."),
        ("a.jsonl", f'{{"text": {"[" * 64}{"]" * 64}}}\n', "line 1: it is nested deeper than 64 levels."),
        ("a.jsonl", '{"text": "a", "x": NaN}\n', "line 1: it is not JSON: NaN is no finite number."),
        ("a.jsonl", '{"text": "a", "x": [-1e999]}\n', "line 1: it is not JSON: -1e999 is no finite"),
        ("a.jsonl", '{"text": "a\\ud800"}\n', "line 1: it holds half a surrogate pair"),
        (
            "a.jsonl",
            '{"text": "a", "key": "k"}\n\n{"text": "b", "key": "k"}\n',
            "line 3: the key 'k' is that of line 1 too.",
        ),
        ("a.csv", "a,b\n1,2\n", "line 2: it has no field 'text' or 'caption'."),
        ("a.csv", "text,b\na,b,c\n", "line 2: it has more than the 2 fields of line 1."),
        ("a.csv", 'text\n"a\n', "line 1: unexpected end of data."),
        ("a.txt", b"caf\xe9\n", "a.txt is not UTF-8: "),
    ],
)
def test_a_wrong_line_is_told_by_file_and_line(
    tmp_path: Path, name: str, data: str | bytes, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        read(tmp_path / name, data)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.xls must be one of \*\.txt, \*\.jsonl, \*\.csv\."):
        texts_target(tmp_path / "a.xls")
    with pytest.raises(UsageError, match=r"a\.txt does not exist\."):
        texts_target(tmp_path / "a.txt")
    (tmp_path / "d.txt").mkdir()
    with pytest.raises(UsageError, match=r"d\.txt is no file\."):
        texts_target(tmp_path / "d.txt")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("path;title", r"line 1: its columns are not parted by commas \(got 'path;title'\)\."),
        ("path\ttitle", r"line 1: its columns are not parted by commas"),
        ("caption,title,title", r"line 1: two columns are called 'title'\."),
    ],
)
def test_a_header_that_is_none_is_told(tmp_path: Path, header: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(tmp_path / "a.csv", f"{header}\na;b\n")
