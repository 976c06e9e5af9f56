from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from core import logs
from core.logs import plain


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    logging.getLogger("core.writer").info("committed entry=%d rows=%d", 42, 900)
    assert capsys.readouterr().err.endswith("INFO    core.writer: committed entry=42 rows=900\n")


def test_json_has_the_facts_as_fields_with_their_types(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    logging.getLogger("a").warning("left %s path=%s rows=%d share=%.1f%% ok=%s", "x", "a b", 3, 0.25, None)
    line = json.loads(capsys.readouterr().err)
    assert line["message"] == "left x path=a b rows=3 share=0.2% ok=None"
    assert (line["path"], line["rows"], line["share"], line["ok"]) == ("a b", 3, 0.25, "None")
    assert (line["level"], line["logger"]) == ("warning", "a")
    assert line["time"].endswith("+00:00")


def test_json_has_what_a_fact_holds(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    logging.getLogger("a").info("opened number=%d rows=%s", 3, {"frame": 7, "clip": None})
    assert json.loads(capsys.readouterr().err)["rows"] == {"frame": 7, "clip": "None"}
    logging.getLogger("a").info("opened rows=%s", {"frame": 7})
    assert json.loads(capsys.readouterr().err)["rows"] == {"frame": 7}
    logging.getLogger("a").info("nothing at all")
    assert json.loads(capsys.readouterr().err)["message"] == "nothing at all"


def test_json_keeps_a_traceback_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    try:
        raise RuntimeError("why")
    except RuntimeError:
        logging.getLogger("a").exception("failed name=%(name)s", {"name": "b"})
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "RuntimeError: why" in json.loads(shown)["exception"]


def test_what_is_being_done_is_said_in_every_line_and_from_threads_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = logging.getLogger("a")
    for log_format in ("text", "json"):
        logs.set_up(log_format)
        with logs.about(request_id="7"):
            log.info("one n=%d", 1)
            thread = threading.Thread(target=copy_context().run, args=(log.info, "two"))
            thread.start()
            thread.join()
        log.info("three")
    *text, one, two, three = capsys.readouterr().err.splitlines()
    assert [line.partition(" a: ")[2] for line in text] == [
        "one n=1 request_id=7",
        "two request_id=7",
        "three",
    ]
    assert [json.loads(line).get("request_id") for line in (one, two, three)] == ["7", "7", None]
    assert json.loads(one)["message"] == "one n=1"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_an_api_key_is_in_no_line(log_format: logs.LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(log_format)
    key = "cdx_0123abcd_" + "5e" * 32
    try:
        raise RuntimeError(key)
    except RuntimeError:
        logging.getLogger("a").exception("sent path=/%s cut=%s", key, key[:40])
    shown = capsys.readouterr().err
    assert shown.count("cdx_0123abcd_...") >= 3 and "5e5e" not in shown


def test_set_up_again_replaces_and_level_hides(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    logs.set_up("json", logging.WARNING)
    logging.getLogger("a").info("unseen")
    logging.getLogger("a").warning("seen")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "unseen" not in shown


def test_a_file_s_name_is_not_obeyed_by_the_terminal() -> None:
    assert plain("films/\x1b[2Jred\n\r\u202e\x9b.mp4") == r"films/\x1b[2Jred\n\r\u202e\x9b.mp4"
    assert plain("films/ein Ä, 東\u3000京 🎬.mp4") == "films/ein Ä, 東\u3000京 🎬.mp4"


@pytest.mark.parametrize("talker", ["httpx", "httpcore.connection", "faiss.loader"])
def test_libraries_that_talk_are_heard_only_when_they_warn(
    capsys: pytest.CaptureFixture[str], talker: str
) -> None:
    logs.set_up("text")
    logging.getLogger(talker).info("HTTP Request: GET http://127.0.0.1/")
    logging.getLogger(talker).warning("odd")
    assert capsys.readouterr().err.splitlines()[0].endswith(f"WARNING {talker}: odd")
