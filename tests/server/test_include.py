"""What results carry beside what they always carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.query import Segments
from index.snapshot import Snapshot
from tests.server.conftest import Running
from tests.server.test_lines import told
from tests.server.test_search import ask
from tests.server.worlds import Shelf, id_of, samples, vector


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """What the sample server serves."""
    return Snapshot.open(samples(tmp_path_factory.mktemp("same") / "data").store)


def test_what_is_not_asked_for_is_empty(sample_server: Running) -> None:
    plain = ask(sample_server, "red")["results"]
    assert all((r["scores"], r["explain"], r["vector"]) == ([], None, []) for r in plain)
    assert all(result["metadata"] == {"tag": "sample"} for result in plain)
    bare = ask(sample_server, "red", include=[])["results"]
    assert all(result["metadata"] == {} for result in bare)
    assert [{**result, "metadata": {"tag": "sample"}} for result in bare] == plain
    (grouped, *_) = ask(sample_server, "red", include=["thumbnail"], group_by="video")["results"]
    assert grouped["metadata"] == grouped["moments"][0]["metadata"] == {}


@pytest.mark.parametrize("level", ["frame", "clip"])
def test_scores_are_those_of_each_part_with_the_row_that_is_given(
    sample_server: Running, same: Snapshot, level: str
) -> None:
    query = [{"text": "red", "weight": 2}, {"video_id": id_of("green")}, {"text": "blue"}]
    answer = ask(sample_server, query, include=["scores", "vector"], level=level)
    parts = np.stack([vector("red"), vector("green"), vector("blue")])
    for result in answer["results"]:
        rows, vectors = same.vectors(result["video_id"], "frame" if level == "frame" else "clip")
        start = int(result["id"].rpartition("/")[2]) / 1000
        at = Segments.of(rows).start.tolist().index(start)
        assert result["vector"] == pytest.approx(vectors[at].tolist())
        assert result["scores"] == pytest.approx((parts @ vectors[at]).tolist(), abs=2e-3)
    plain = ask(sample_server, "red", include=["scores"])["results"]
    assert [r["scores"] for r in plain] == [[pytest.approx(r["score"], abs=1e-3)] for r in plain]


def test_an_explanation_names_ranks_and_the_rows_that_are_one(sample_server: Running) -> None:
    found = ask(sample_server, "red", include=["explain"], level="frame")["results"]
    assert [result["explain"]["ranks"] for result in found] == [
        {"visual": rank} for rank in range(1, len(found) + 1)
    ]
    best = found[0]["explain"]
    assert (best["merged"], best["fused"], best["weighed"]) == (12, None, None)
    assert [row["start"] for row in best["rows"]] == [float(n) for n in range(12)]
    assert {row["score"] for row in best["rows"]} == {1.0}
    weighed = ask(sample_server, "red", include=["explain"], weigh_frames=True)["results"]
    assert weighed[0]["explain"]["weighed"] == pytest.approx(1.0, abs=1e-3)


def test_words_are_explained_by_their_ranks(tmp_path: Path) -> None:
    from tests.server.test_paging import ask as asked

    shelf: Shelf = told(tmp_path / "data")
    found = asked(shelf, query="orange", include=["explain", "vector", "scores"], mode="hybrid")["results"]
    by_words = [result for result in found if result["text"]]
    assert by_words[0]["explain"]["ranks"]["lines"] == 1
    for result in found:
        ranks = result["explain"]["ranks"].values()
        assert result["explain"]["fused"] == pytest.approx(sum(1 / (60 + rank) for rank in ranks), abs=1e-6)
    (line,) = asked(shelf, query="orange", include=["explain", "vector", "scores"], mode="text")["results"]
    assert (line["vector"], line["scores"], line["explain"]["merged"]) == ([], [], 0)
    assert line["explain"]["ranks"] == {"lines": 1} and line["explain"]["rows"] == []
