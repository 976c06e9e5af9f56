"""Draw docs/images/page.png, the page in a real browser, with the videos that the demo renders."""

from __future__ import annotations

import sys
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.demo import served, verb
from tests.browser import Browser, chromium

PICTURE = Path(__file__).parent / "images" / "page.png"
VIDEO = "document.querySelector('video')"


def main() -> int:
    """From nothing to the picture."""
    with TemporaryDirectory() as folder:
        videos, data = f"{folder}/videos", f"{folder}/data"
        verb("sample-videos", "--plain", videos)
        verb("extract", "--videos", videos, "--encoder", "toy:rgb", "--data", data, "--quiet")
        verb("index", "build", "--data", data, "--quiet")
        with served(data) as address, chromium(Path(folder, "browser")) as browser:
            picture = drawn(browser, f"{address}/#q=a+green+circle")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_bytes(picture)
    sys.stdout.write(f"{PICTURE}: {len(picture)} bytes\n")
    return 0


def drawn(browser: Browser, address: str) -> bytes:
    """A question, its moments, and the first of them where it is best."""
    browser.look(width=1280, height=960)
    browser.open(address)
    browser.wait("document.querySelectorAll('.moment').length")
    browser.click(".moment .open")
    browser.wait(f"{VIDEO}.readyState > 2")
    browser.run(f"{VIDEO}.pause(), {VIDEO}.requestVideoFrameCallback(() => document.body.dataset.drawn = 1)")
    browser.click(".best")
    browser.wait("document.body.dataset.drawn")
    browser.run(f"{VIDEO}.pause(), {VIDEO}.controls = false, document.activeElement.blur(), scrollTo(0, 0)")
    browser.wait(f"!{VIDEO}.seeking && [...document.images].every((each) => each.complete)")
    return b64decode(browser.picture())


if __name__ == "__main__":
    sys.exit(main())
