"""The page, as people use it: in a real browser, on films that were really rendered and extracted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from core.types import EncoderSpec
from extractor.encoders import NOTICES
from extractor.encoders.base import Encoder
from extractor.media.write import Encoding, write_video
from extractor.world.plain_films import plain_frames
from server import keys
from server.app import create_app
from server.library import ServedLibrary, load_encoder
from server.settings import ServeSettings
from tests.browser import Browser
from tests.conftest import FPS, LIKE, shapes, write_film
from tests.server.conftest import in_thread, listening
from tests.server.filmed import Films
from tests.server.worlds import Shelf, make_keys, until

EVIL = "<img src=x onerror=document.title='taken'>.mp4"
LINE = "The frog & its pond: 1 < 2, and <!-- nothing more"
NAMES = "[...document.querySelectorAll('.moment .name')].map((each) => each.textContent)"
MOMENTS = "document.querySelectorAll('.moment').length"
VIDEO = "document.querySelector('video')"
IS_OPEN = f"Boolean({VIDEO})"
PLAYS = f"{VIDEO}.readyState > 2 && {VIDEO}.currentTime > 0"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Films:
    """red-then-blue.mp4 (blue from 8 s to 16 s), green.mp4 (with a line), hevc.mp4 (yellow), a name that is
    HTML (purple), old.avi (orange), tape.ts (brown), late.mkv (pink, on a clock that begins at 0.5 s), and
    gone.mp4 (cyan)."""
    folder = tmp_path_factory.mktemp("page") / "films"
    folder.mkdir()
    write_film(folder / "red-then-blue.mp4", shapes("red", "blue", seconds=8), LIKE)
    write_film(folder / "green.mp4", shapes("green"), LIKE)
    write_film(
        folder / "hevc.mp4", shapes("yellow"), Encoding("hevc", fps=FPS, audio=(Fraction(0), Fraction(4)))
    )
    write_film(folder / EVIL, shapes("purple"), LIKE)
    write_film(folder / "old.avi", shapes("orange"), Encoding("mpeg4", fps=FPS))
    write_film(folder / "tape.ts", shapes("brown"), LIKE)
    write_film(folder / "gone.mp4", shapes("cyan"), LIKE)
    times = [Fraction(1, 2) + n / FPS for n in range(40)]
    write_video(folder / "late.mkv", plain_frames(shapes("pink"), FPS, 160, 90), times=times)
    (folder / "green.srt").write_text(f"1\n00:00:01,000 --> 00:00:03,000\n{LINE}\n")
    films = Films.of(folder, folder.parent / "data")
    (folder / "gone.mp4").unlink()
    return films


@pytest.fixture(scope="module")
def served(films: Films) -> Iterator[httpx.Client]:
    with in_thread(films.library()) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        yield http


@pytest.fixture
def page(chromium: Browser, served: httpx.Client) -> Iterator[Page]:
    """It has nothing to complain of, whatever is done with it."""
    chromium.look()
    page = Page(chromium, str(served.base_url))
    page.browser.complaints.clear()
    yield page
    assert page.browser.complaints == []


class Page:
    """The page at an address."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.run, self.wait, self.click, self.press = browser.run, browser.wait, browser.click, browser.press

    def open(self, asked: str = "") -> None:
        self.browser.open(f"{self.url}/{asked and '#' + asked}")
        self.wait(MOMENTS if asked else "!document.querySelector('#welcome').hidden")

    def ask(self, text: str) -> None:
        self.run("document.querySelector('#text').select()")
        self.browser.type(text)
        self.press("Enter")
        self.wait(
            f"document.title.startsWith({text!r}) && document.querySelector('#found').ariaBusy === 'false'"
        )

    def text(self, selector: str) -> str:
        return str(self.run(f"document.querySelector({selector!r}).innerText"))


def test_a_question_that_is_typed_shows_moments(page: Page) -> None:
    page.open()
    page.ask("red")
    assert page.run(NAMES)[0] == "red-then-blue.mp4"
    assert page.text(".time") == "0:00 – 0:12"  # the last of the clips that show it ends there
    assert page.text(".sure b").endswith("%")
    page.wait("document.querySelector('.moment img').naturalWidth > 0")
    assert page.text("#said").startswith("8 moments in ")
    assert page.run("location.hash") == "#q=red"


def test_a_click_plays_the_moment_from_a_second_before_its_best_one(page: Page) -> None:
    page.open("q=blue")
    page.click(".moment .open")
    page.wait(PLAYS)
    best, between = page.text(".time").removeprefix("0:").split(" in ")
    assert between == "0:04 – 0:16" and 8 <= int(best) < 16
    assert int(best) - 1 <= page.run(f"{VIDEO}.currentTime") < int(best) + 2
    assert "/media/" in page.run(f"{VIDEO}.currentSrc")
    page.click(".close")
    assert not page.run(IS_OPEN)


def test_it_stops_at_the_end_of_the_moment(page: Page) -> None:
    page.open("q=red")
    page.click(".moment .open")
    page.wait(PLAYS)
    page.run(f"{VIDEO}.currentTime = 11.5")
    page.wait(f"{VIDEO}.paused")
    assert 12 <= page.run(f"{VIDEO}.currentTime") < 13


@pytest.mark.parametrize(
    ("asked", "name"), [("yellow", "hevc.mp4"), ("orange", "old.avi"), ("brown", "tape.ts")]
)
def test_what_the_browser_cannot_play_is_cut_for_it(page: Page, asked: str, name: str) -> None:
    page.open(f"q={asked}")
    assert page.run(NAMES)[0] == name
    page.click(".moment .open")
    page.wait(PLAYS)
    assert "/clip/" in page.run(f"{VIDEO}.currentSrc")
    assert page.run(f"{VIDEO}.videoWidth") > 0
    assert page.text(".told").startswith("0:00 – 0:04, cut out of the video")


def test_a_clock_that_begins_late_is_allowed_for(page: Page) -> None:
    page.open("q=pink")
    assert page.run(NAMES)[0] == "late.mkv"
    page.click(".moment .open")
    page.wait(PLAYS)
    assert "/media/" in page.run(f"{VIDEO}.currentSrc")
    best, between = page.text(".time").removeprefix("0:").split(" in ")
    assert between.startswith("0:00 – ")
    # What the browser calls 0.5 is our second 0.
    assert page.run(f"{VIDEO}.currentTime") >= 0.5 + int(best) - 1


def test_why_nothing_plays_is_said_in_the_servers_own_words(page: Page) -> None:
    page.open("q=cyan")
    assert page.run(NAMES)[0] == "gone.mp4"
    page.click(".moment .open")
    page.wait("document.querySelector('.told').innerText.endsWith('it is gone.')")
    assert page.browser.complaints and all("404" in each for each in page.browser.complaints)
    page.browser.complaints.clear()


def test_an_address_restores_what_was_asked_and_played(page: Page) -> None:
    page.open("q=blue")
    page.click(".moment .open")
    page.wait(PLAYS)
    address = page.run("location.hash")
    page.open("q=green")
    page.open(address[1:])
    page.wait(IS_OPEN)
    assert page.text(".player h2") == "red-then-blue.mp4"
    assert page.run("document.querySelector('#text').value") == "blue"


def test_back_and_forward_go_through_what_was_asked(page: Page) -> None:
    page.open()
    page.ask("red")
    page.ask("green")
    page.run("history.back()")
    page.wait(f"{NAMES}[0] === 'red-then-blue.mp4' && document.querySelector('#text').value === 'red'")
    page.run("history.forward()")
    page.wait(f"{NAMES}[0] === 'green.mp4'")


def test_what_a_file_is_called_and_what_is_said_in_it_is_text(page: Page) -> None:
    page.open("q=purple")
    assert page.run(NAMES)[0] == EVIL
    page.click(".moment .open")
    page.wait(PLAYS)
    assert page.text(".player h2") == EVIL
    page.click(".alike")
    page.wait("document.querySelector('#like').innerText.includes('onerror')")
    page.ask("frog")
    assert page.text(".moment .line") == LINE
    assert page.run("[...document.querySelectorAll('.moment')][0].innerText.includes('subtitles')")
    assert page.run("document.title") == "frog – Cinedex"
    assert not page.run("Boolean(document.querySelector('b b, img[src=x]'))")


def test_moments_similar_to_one_are_asked_for_by_its_seconds(page: Page) -> None:
    page.open("q=red")
    page.click(".moment .similar")
    page.wait("location.hash.startsWith('#like=v-') && !document.querySelector('#like').hidden")
    page.wait("document.querySelector('#found').ariaBusy === 'false'")
    assert page.text("#like span") == "Moments like red-then-blue.mp4, 0:00 – 0:12"
    assert page.run(MOMENTS) >= 4
    page.click("#like button")
    page.wait("!document.querySelector('#welcome').hidden")


def test_moments_can_be_grouped_by_video(page: Page) -> None:
    page.open("q=red")
    page.click("#grouped")
    page.wait("document.querySelectorAll('.video').length")
    assert page.run("location.hash") == "#q=red&group=video"
    assert page.text(".video h2") == "films/red-then-blue.mp4"
    assert page.text("#said").startswith("8 videos in ")
    page.click(".moment .open")
    page.wait(PLAYS)


def test_the_start_and_the_best_second_are_a_click_away(page: Page) -> None:
    page.open("q=blue")
    page.click(".moment .open")
    page.wait(PLAYS)
    best = int(page.text(".best").removeprefix("Best at 0:"))
    page.click(".again")
    page.wait(f"{VIDEO}.currentTime < {best - 1}")
    assert 4 <= page.run(f"{VIDEO}.currentTime") < 6 <= best < 16
    page.click(".best")
    page.wait(f"{VIDEO}.currentTime >= {best}")


def test_a_collection_is_chosen_where_there_are_several(chromium: Browser, films: Films) -> None:
    store = next(path.parent for path in films.data.rglob("store.json"))
    with in_thread(ServedLibrary(lambda: {"default": [store], "other": [store]})) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        page = Page(chromium, str(http.base_url))
        page.open("q=red")
        page.wait("!document.querySelector('#of-collection').hidden")
        assert page.run("document.querySelector('#of-encoder').hidden")
        page.run("document.querySelector('#collection').focus()")
        page.press("ArrowDown")
        page.wait("location.hash === '#q=red&collection=other'")
        page.wait("document.querySelector('.moment img').src.includes('collection=other')")
        page.browser.open("about:blank")


def test_further_pages_are_a_click_away_and_need_no_pictures(chromium: Browser, tmp_path: Path) -> None:
    shelf = Shelf.make(tmp_path / "data")
    shelf.add({f"number-{number:02}": [("red", 8)] for number in range(30)})
    shelf.build()
    with in_thread(ServedLibrary.of_store(shelf.store.root)) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        page = Page(chromium, str(http.base_url))
        page.open("q=red")
        assert page.run(MOMENTS) == 24
        assert page.text("#said").startswith("24 of 30 moments in ")
        assert page.text(".lacking") == page.run(NAMES)[0]
        page.click("#more")
        page.wait(f"{MOMENTS} === 30")
        assert len(set(page.run(NAMES))) == 30
        assert page.text("#said").startswith("30 moments in ")
        assert page.run("document.querySelector('#more').hidden")
        page.browser.open("about:blank")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.open("q=red")
    page.press("/")
    focused = "document.activeElement"
    assert page.run(f"{focused}.id") == "text"
    page.press("ArrowDown")
    page.press("ArrowRight")
    card = f"[...document.querySelectorAll('.moment')].indexOf({focused}.closest('.moment'))"
    assert page.run(card) == 1
    page.press("Enter")
    page.wait(f"!{VIDEO}.paused && {PLAYS}")
    page.press(" ")
    page.wait(f"{VIDEO}.paused")
    page.press("Escape")
    assert page.run(card) == 1 and not page.run(IS_OPEN)


def test_nothing_to_find_is_said(page: Page) -> None:
    page.open("q=zxqv")
    assert page.text("#doubt").startswith("No confident match.")
    page.ask("red")
    assert page.run("document.querySelector('#doubt').hidden")


def test_what_its_encoder_cannot_read_and_is_not_for_is_said(
    chromium: Browser, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KnowsRed:
        """An encoder that reads this word alone."""

        def __init__(self, encoder: Encoder) -> None:
            self._encoder = encoder

        def __getattr__(self, name: str) -> Any:
            return getattr(self._encoder, name)

        def known(self, texts: Sequence[str]) -> list[bool]:
            return [text == "red" for text in texts]

    def load(spec: EncoderSpec) -> Encoder:
        return KnowsRed(load_encoder(spec))

    monkeypatch.setitem(NOTICES, "toy", "It knows colours; `red` is one.")
    with in_thread(ServedLibrary.of_data(films.data, load)) as http:
        until(lambda: http.get("/readyz").status_code == 200)
        page = Page(chromium, str(http.base_url))
        page.open()
        page.wait("document.querySelector('#served').innerText !== ''")
        assert page.text("#served").endswith(" by toy:rgb. It knows colours; “red” is one.")
        page.open("q=red")
        assert page.text("#said").endswith(" · It knows colours; “red” is one.")
        page.ask("blue")
        assert " · no word of “blue” is known to the encoder · It knows" in page.text("#said")
        chromium.open("about:blank")


def test_what_the_server_refuses_is_said_in_its_own_words(page: Page) -> None:
    page.browser.open(f"{page.url}/#q=red&collection=nowhere")
    page.wait("!document.querySelector('#trouble').hidden")
    assert page.text("#trouble") == "Collection: there is no 'nowhere' here."
    assert "404" in page.browser.complaints.pop()


def test_what_was_typed_is_not_called_by_the_name_of_a_field(page: Page) -> None:
    page.browser.open(f"{page.url}/#q={'x' * 2001}")
    page.wait("!document.querySelector('#trouble').hidden")
    assert page.text("#trouble") == "The text should have at most 2000 characters."
    assert "400" in page.browser.complaints.pop()


def test_a_time_is_written_as_exactly_as_it_takes(page: Page) -> None:
    page.open()
    for start, end, told in [
        (0, 0.06, "0:00.00 – 0:00.06"),
        (61.5, 61.9, "1:01.5 – 1:01.9"),
        (59.999, 60.001, "0:59 – 1:00"),
        (0, 0, "0:00"),
    ]:
        written = f"times({{start: {start}, end: {end}}})"
        assert page.run(f"import('./page/moment.js').then(({{times}}) => {written})") == told


def test_a_server_that_is_loading_is_asked_again(chromium: Browser, films: Films) -> None:
    may_load = threading.Event()

    def load(spec: EncoderSpec) -> Encoder:
        assert may_load.wait(30)
        return load_encoder(spec)

    with in_thread(ServedLibrary.of_data(films.data, load)) as http:
        chromium.open(f"{http.base_url}/#q=red")
        chromium.wait("document.querySelector('#trouble').innerText.includes('Asking again in 2 s.')")
        may_load.set()
        chromium.wait(MOMENTS)
        assert chromium.run("document.querySelector('#trouble').hidden")
        chromium.open("about:blank")


def test_a_key_is_asked_for_and_kept(chromium: Browser, films: Films, tmp_path: Path) -> None:
    made = make_keys(tmp_path)
    with in_thread(films.library(), keys_file=tmp_path / keys.FILE) as http:
        page = Page(chromium, str(http.base_url))
        chromium.open(f"{page.url}/#q=blue")
        for key, told in (("nonsense", "This key is not known here."), (made["read"], "")):
            page.wait("document.querySelector('#login').open")
            page.run("document.querySelector('#key').select()")
            chromium.type(key)
            page.press("Enter")
            page.wait(f"document.querySelector('#login p').textContent === {told!r}")
        page.wait(MOMENTS)
        page.wait("document.querySelector('.moment img').naturalWidth > 0")
        page.click(".moment .open")
        page.wait(PLAYS)
        page.open("q=red")  # anew, and asked for nothing
        assert not page.run("document.querySelector('#login').open")
        assert made["read"] not in page.run("document.documentElement.outerHTML + document.cookie")
        page.click("#logout")
        page.wait("document.querySelector('#login').open")
        assert page.run(MOMENTS) == 0 and page.run("document.querySelector('#logout').hidden")
        assert "collection" not in page.run("fetch('collections').then((answer) => answer.text())")
        chromium.open("about:blank")


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_by_day_and_by_night(page: Page, dark: bool) -> None:
    page.browser.look(dark=dark)
    page.open("q=green")
    light = [luminance(page.run(f"getComputedStyle({each}).color")) for each in ("document.body", "said")]
    back = luminance(page.run("getComputedStyle(document.body).backgroundColor"))
    assert (back < 0.1) == dark
    assert all(contrast(each, back) >= 4.5 for each in light)


def test_it_fits_a_phone(page: Page) -> None:
    page.browser.look(width=320, height=640)
    page.open("q=purple")
    page.click(".moment .open")
    page.wait(PLAYS)
    assert page.run("document.documentElement.scrollWidth") == 320
    assert page.run(f"{VIDEO}.getBoundingClientRect().width") > 250


def test_everything_has_a_name_for_who_cannot_see_it(page: Page) -> None:
    page.open("q=red")
    page.click(".moment .open")
    page.wait(PLAYS)
    assert page.browser.nameless() == []
    assert page.run("document.querySelector('.open').ariaExpanded") == "true"


def test_it_works_below_a_path_of_a_proxy(chromium: Browser, films: Films) -> None:
    app = create_app(films.library(), ServeSettings(follow_seconds=0.05))
    with listening(below("/films", app)) as http:
        chromium.complaints.clear()
        chromium.open(f"{http.base_url}/films/#q=blue")
        chromium.wait(MOMENTS)
        chromium.wait("document.querySelector('.moment img').naturalWidth > 0")
        chromium.click(".moment .open")
        chromium.wait(PLAYS)
        assert chromium.complaints == []
        chromium.open("about:blank")


def luminance(colour: str) -> float:
    """As WCAG 2 has it, of rgb(r, g, b)."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def below(prefix: str, app: ASGIApp) -> ASGIApp:
    """What a proxy does that serves an application below a path and says nothing of it."""

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: Any = scope["path"]
            assert path.startswith(prefix), path
            raw = scope["raw_path"].removeprefix(prefix.encode())
            scope = {**scope, "path": path.removeprefix(prefix), "raw_path": raw}
        await app(scope, receive, send)

    return proxied
