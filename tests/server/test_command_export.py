"""`cinedex search --export`: what is found as a file, with a server and without."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import opentimelineio
import pytest

from core.commands import main
from tests.server.conftest import Running
from tests.server.sent import picture
from tests.server.worlds import Shelf, id_of, samples

Captured = pytest.CaptureFixture[bytes]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """One for all tests, which only read it."""
    return samples(tmp_path_factory.mktemp("exported") / "data")


def said(capsys: Captured, *args: str, code: int = 0) -> bytes:
    assert main(["search", *args]) == code
    captured = capsys.readouterr()
    assert code == 0 or captured.out == b""
    return captured.out if code == 0 else captured.err


def table(content: bytes) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)]


def test_a_table_has_a_row_a_moment_and_the_users_columns(shelf: Shelf, capsysbinary: Captured) -> None:
    flags = ["red", "--data", str(shelf.library.data), "--export", "csv", "--top", "2"]
    first, second = table(said(capsysbinary, *flags, "--media-prefix", "/Volumes/media"))
    assert (first["rank"], second["rank"]) == ("1", "2")
    assert first["path"] == "/Volumes/media/films/red-then-blue.mp4"
    assert (first["start_s"], first["end_s"], first["metadata.tag"]) == ("0.0", "16.0", "sample")


def test_an_edit_list_is_what_editors_read(shelf: Shelf, capsysbinary: Captured) -> None:
    flags = ["red", "--data", str(shelf.library.data), "--export", "edl", "--top", "2"]
    text = said(capsysbinary, *flags, "--frame-rate", "24").decode()
    (track,) = opentimelineio.adapters.read_from_string(text, "cmx_3600", rate=24).tracks
    assert text.startswith("TITLE: red\r\n") and len(track) == 2
    assert track[0].source_range.duration.value == 16 * 24


def test_a_server_and_the_store_give_the_same_bytes(
    shelf: Shelf, sample_server: Running, tmp_path: Path, capsysbinary: Captured
) -> None:
    (tmp_path / "blue.png").write_bytes(picture("blue"))
    for flags in (
        ["blue", "--export", "csv"],
        ["blue", "--export", "edl", "--media-prefix", "D:\\media", "--frame-rate", "30000/1001"],
        ["red", "--then", "blue", "--export", "csv"],
        ["--image", str(tmp_path / "blue.png"), "--level", "video", "--export", "edl"],
        ["--video", id_of("green"), "--target", "texts", "--export", "csv"],
    ):
        local = said(capsysbinary, *flags, "--data", str(shelf.library.data))
        assert local and local == said(capsysbinary, *flags, "--server", sample_server.url)


def test_all_results_are_one_table(
    shelf: Shelf, capsysbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.search.MAX_LIMIT", 2)
    flags = ["red", "--data", str(shelf.library.data), "--export", "csv", "--all"]
    found = table(said(capsysbinary, *flags))
    assert [row["rank"] for row in found] == [f"{number}" for number in range(1, len(found) + 1)]
    assert len({row["id"] for row in found}) == len(found) > 2


def test_a_file_of_ones_own_is_exported_for_from_the_store(
    shelf: Shelf, videos: Path, capsysbinary: Captured
) -> None:
    flags = ["--video", str(videos / "red.mp4"), "--export", "csv", "--top", "1"]
    (found,) = table(said(capsysbinary, *flags, "--data", str(shelf.library.data)))
    assert found["path"] == "films/red-then-blue.mp4"


URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["red", "--media-prefix", "/m"], 2, "--media-prefix and --frame-rate need --export"),
        (["red", "--frame-rate", "25"], 2, "--media-prefix and --frame-rate need --export"),
        (["red", "--export", "csv", "--frame-rate", "25"], 2, "--frame-rate needs --export edl"),
        (["red", "--export", "edl", "--target", "texts"], 2, "--export edl lists seconds of videos"),
        (["red", "--export", "csv", "--json"], 2, "--export and --json exclude each other"),
        (["red", "--export", "csv", "--all", "--server", URL], 2, "--export and --all exclude each other"),
        (["--video", __file__, "--export", "csv", "--server", URL], 2, "--export with --server takes the id"),
        (["red", "--export", "csv", "--server", URL], 1, f"{URL} does not answer:"),
        (["red", "--export", "edl", "--frame-rate", "23"], 2, "frame-rate: it must be '24000/1001'"),
        (
            ["red", "--export", "csv", "--media-prefix", "a\nb"],
            2,
            "media-prefix: must be a path",
        ),
        (["--export", "csv"], 2, "Nothing to look for is named"),
        (["--video", "v-none", "--export", "csv"], 2, "query[0].video_id: there is no 'v-none'"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_file(
    shelf: Shelf, flags: list[str], code: int, says: str, capsysbinary: Captured
) -> None:
    error = said(capsysbinary, *flags, "--data", str(shelf.library.data), code=code).decode()
    assert error.startswith(f"cinedex search: {says}") and error.count("\n") == 1


def test_a_servers_refusal_names_what_was_asked_not_where_it_stood(
    sample_server: Running, capsysbinary: Captured
) -> None:
    flags = ["--video", "v-none", "--export", "csv", "--server", sample_server.url]
    error = said(capsysbinary, *flags, code=2).decode()
    assert error.startswith("cinedex search: query[0].video_id: there is no 'v-none'")
