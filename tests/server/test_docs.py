"""What is served about itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from core.commands import main
from server.app import openapi_text
from server.schemas.query import PartAsked
from server.schemas.search import SearchAsked
from tests.server.conftest import Running

DOCS = Path(__file__).parents[2] / "docs"
URL = re.compile(rb"(?:https?:)?//[^\s\"'/]")


def test_the_openapi_document_is_the_served_one(sample_server: Running) -> None:
    kept = json.loads((DOCS / "openapi.json").read_text())
    assert sample_server.http.get("/openapi.json").json() == kept
    is_kept = openapi_text() == (DOCS / "openapi.json").read_text()
    assert is_kept, "cinedex serve --openapi > docs/openapi.json"


def test_serve_prints_the_openapi_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--openapi"]) == 0
    assert capsys.readouterr().out == openapi_text()


def test_every_field_of_a_request_is_in_the_contract() -> None:
    contract = (DOCS / "http-api.md").read_text()
    for name in (*SearchAsked.model_fields, *PartAsked.model_fields):
        assert re.search(rf"^\| .*`{name}`", contract, re.MULTILINE), name


def test_the_page_and_its_files_come_from_this_server(sample_server: Running) -> None:
    http = sample_server.http
    page = http.get("/docs")
    assert page.status_code == 200
    assert not URL.search(page.content)
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 4
    for path in named:
        file = http.get(httpx.URL("/").join(path))
        assert file.status_code == 200, path
    assert not URL.search(http.get("/docs/start.js").content)


def test_the_page_may_load_nothing_from_elsewhere(sample_server: Running) -> None:
    policy = sample_server.http.get("/docs").headers["content-security-policy"]
    allowed = {word for rule in policy.split(";") for word in rule.split()[1:]}
    assert allowed == {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert "script-src 'self';" in policy
