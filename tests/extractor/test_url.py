"""An address in parts, and what of it is never shown."""

from __future__ import annotations

import pytest

from core.errors import UsageError
from extractor.url import is_url, local_path, scrubbed, shorn, url_of


@pytest.mark.parametrize(
    ("text", "base", "path"),
    [
        ("https://u:p@h.org:8080/a/b%20c.mp4?sig=x#t", "https://h.org:8080", "a/b%20c.mp4"),
        ("HTTP://h?x=1", "http://h", ""),
        ("s3://bucket/a/what?#1.mp4", "s3://bucket", "a/what?#1.mp4"),
        ("s3://bucket", "s3://bucket", ""),
        ("memory://films/a.mp4", "memory://", "films/a.mp4"),
        ("memory:///films/a.mp4", "memory://", "films/a.mp4"),
        ("sftp://u:p@h/films/a.mp4", "sftp://h", "films/a.mp4"),
    ],
)
def test_an_address_has_a_base_and_a_path_without_its_secrets(text: str, base: str, path: str) -> None:
    url = url_of(text)
    assert (url.base, url.path) == (base, path)
    assert url.text == text and "p@" not in repr(url) + url.shown
    there = url.at("other/x.mp4")
    assert (there.base, there.path) == (base, "other/x.mp4")
    assert url_of(there.text).path == "other/x.mp4"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s3:///a.mp4", "s3:///a.mp4 names no bucket."),
        ("https:///a.mp4", "names no host."),
        ("https:///anna:SECRET@h/a", "https:///…h/a names no host."),
        ("s3://KEY:SECRET@bucket/a", "s3://bucket/a was given with a key in it"),
    ],
)
def test_what_is_no_whole_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        url_of(text)
    assert "SECRET" not in str(told.value)


def test_paths_are_no_addresses_and_a_file_url_is_a_path() -> None:
    assert not any(map(is_url, ("films/a.mp4", "/a//b", "file:///a.mp4", "c:/x", "a?b")))
    assert local_path("file:///films/a b.mp4") == "/films/a b.mp4"
    assert local_path("films/a.mp4") == "films/a.mp4"


@pytest.mark.parametrize(
    "text", ["https:/a:SECRET@h/x", " https://a:SECRET@h/x", "S3:SECRET", "http:\\\\h?SECRET"]
)
def test_what_was_meant_as_an_address_is_no_path_and_is_not_shown(text: str) -> None:
    assert not is_url(text)
    with pytest.raises(UsageError, match=r"An address begins with [a-zS3]+://;") as told:
        local_path(text)
    assert "SECRET" not in str(told.value)


def test_a_message_loses_the_secrets_of_every_address_in_it() -> None:
    message = "GET 'https://anna:pw@h/a?sig=1&b=2' failed, then https://h/b?c. Why?"
    assert scrubbed(message) == "GET 'https://…h/a?…' failed, then https://h/b?… Why?"
    url = url_of("https://anna:p%40ss@h/a?sig=s%2Fecret")
    assert url.scrub("401 for anna with p@ss and s/ecret or s%2Fecret") == "401 for … with … and … or …"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://anna:pw@h/a%20b.mp4?sig=1#t", "https://h/a%20b.mp4"),
        (" HTTPS://h?sig=1\n", "HTTPS://h"),
        ("https://an na:p w@h/a", "https://h/a"),
        ("zip://a::https://anna:pw@h/a.zip?sig=1", "zip://a::https://h/a.zip"),
        ("s3://KEY:SECRET@bucket/what?#1.mp4", "s3://bucket/what?#1.mp4"),
        ("file:///films/what?.mp4", "file:///films/what?.mp4"),
        ("films/what?.mp4", "films/what?.mp4"),
        ("anna@home: https or not?", "anna@home: https or not?"),
        ("why://not so? because", "why://not so? because"),
    ],
)
def test_a_value_that_is_an_address_loses_its_secrets_and_all_else_stays(text: str, left: str) -> None:
    assert shorn(text) == left
    deep = {"n": 1, "x": [text, None, {"y": text}]}
    assert shorn(deep) == {"n": 1, "x": [left, None, {"y": left}]}
