"""What /metrics tells is what the pages say that it does."""

from __future__ import annotations

import re
from pathlib import Path

from server.library import ServedLibrary
from server.limits import Slots
from server.metrics import Metrics
from tests.server.conftest import Running

DOCS = Path(__file__).parents[2] / "docs"
KINDS = {"counters": "counter", "counter": "counter", "gauge": "gauge", "histogram": "histogram"}


def told(text: str) -> dict[str, str]:
    """Names of metrics, without the prefix, and of which kind each is."""
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert all(name.startswith("cinedex_") for name in found)
    return {name.removeprefix("cinedex_"): kind for name, kind in found.items()}


def rows(page: str, behind: str) -> list[list[str]]:
    """The cells of the first table behind these words."""
    lines = (DOCS / page).read_text().partition(behind)[2].partition("\n| ")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines.splitlines()[2:]]


def test_it_names_what_the_pages_name_and_nothing_else(sample_server: Running) -> None:
    assert sample_server.search("red").status_code == 200
    found = told(sample_server.http.get("/metrics").text)
    explained = {name for row in rows("operations.md", "### What the metrics say") for name in names(row[0])}
    assert explained == set(found)
    listed = rows("http-api.md", "Metrics, all with the prefix `cinedex_`:")
    assert {name for row in listed for name in names(row[0])} == set(found)
    for row in listed:
        kinds = [KINDS[word] for word in row[1].split(", ")]
        assert {found[name] for name in names(row[0])} == set(kinds), row


def names(cell: str) -> list[str]:
    """Without the labels that stand behind `by`."""
    return re.findall(r"`(\w+)`", cell.partition(" by ")[0])


def test_the_labels_that_are_told_are_those_that_the_pages_name(sample_server: Running) -> None:
    assert sample_server.search("red").status_code == 200
    text = sample_server.http.get("/metrics").text
    api = {names(row[0])[0]: row[2] for row in rows("http-api.md", "with the prefix `cinedex_`:")}
    ops = {names(row[0])[0]: row[0] for row in rows("operations.md", "### What the metrics say")}
    for name in ("requests_total", "request_seconds_count", "stage_seconds_count"):
        labels = re.findall(rf"^cinedex_{name}{{(.+)}} ", text, re.MULTILINE)[0]
        short = name.removesuffix("_count")
        for label in re.findall(r"(\w+)=", labels):
            assert f"`{label}`" in api[short] and f"`{label}`" in ops[short], (name, label)


def test_a_server_of_one_process_tells_no_times_at_which_counting_began() -> None:
    metrics = Metrics(ServedLibrary(dict), Slots(1, 1), Slots(1, 1))
    metrics.refused.inc()
    metrics.waited(0.1)
    text = metrics.text().decode()
    assert "cinedex_refused_total 1.0" in text and "_created" not in text
