"""The files of the page, as they are sent."""

from __future__ import annotations

from tests.server.conftest import Running


def test_the_page_is_there_for_who_has_it_already_only_by_its_tag(sample_server: Running) -> None:
    for path in ("/", "/page/app.js", "/page/style.css", "/page/icon.svg"):
        first = sample_server.http.get(path)
        assert first.status_code == 200 and first.headers["cache-control"] == "no-cache"
        tag = first.headers["etag"]
        again = sample_server.http.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
        assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
        assert sample_server.http.head(path).headers["content-length"] == str(len(first.content))
    assert sample_server.http.get("/page/app.js").headers["content-type"] == "text/javascript; charset=utf-8"


def test_a_file_that_the_page_has_not_is_not_found(sample_server: Running) -> None:
    for name in ("nothing.js", "index.html", "..%2F__init__.py", "%2e%2e/app.py"):
        answer = sample_server.http.get(f"/page/{name}")
        assert answer.status_code == 404 and answer.json()["error"]["type"] == "not_found"


def test_the_page_may_load_only_what_the_server_has(sample_server: Running) -> None:
    answer = sample_server.http.get("/")
    policy = dict(
        each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert "style=" not in answer.text and "<style" not in answer.text and "onclick" not in answer.text
