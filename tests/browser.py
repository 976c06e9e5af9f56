"""Debian's Chromium, driven over a pipe by the protocol that its own developer tools speak.

No driver, no port and no download: a command is JSON that ends in a zero byte, and so is what comes back.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 20.0
FLAGS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-sandbox", "--disable-gpu"),
    *("--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en"),
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
    *("--autoplay-policy=user-gesture-required", "--disable-features=Translate,MediaRouter"),
)
KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
    " ": (32, " "),
}


class Gone(RuntimeError):
    """The browser ended, or did not answer in time."""


class Browser:
    """One browser with one tab."""

    def __init__(self, process: subprocess.Popen[bytes], out: int, back: int) -> None:
        self._process, self._out, self._back = process, out, back
        self._unread, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []  # errors of the console, exceptions, breaches of the policy
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to an address and wait until its scripts have run."""
        self._send("Page.navigate", url="about:blank")  # else another # of the same page loads nothing
        self._send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What an expression gives; a promise is waited for."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self._send("Runtime.evaluate", **asked)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"]["exception"].get("description", script))
        return found["result"].get("value")

    def wait(self, script: str) -> Any:
        """Until an expression gives something that is true."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"{script} never held; {self.run('document.body.innerText')!r}"
            time.sleep(0.02)
        return found

    def type(self, text: str) -> None:
        self._send("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """A key, as from a keyboard."""
        code, text = KEYS[key] if key in KEYS else (ord(key.upper()), key)
        event = {"key": key, "windowsVirtualKeyCode": code, "text": text}
        self._send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        self._send("Input.dispatchKeyEvent", type="keyUp", **event)

    def click(self, selector: str) -> None:
        """The mouse, in the middle of the first such element."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{found}.scrollIntoView({{block: 'center'}})")
        place = self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({found}.getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            event = {"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1}
            self._send("Input.dispatchMouseEvent", **event)

    def look(self, *, dark: bool = False, width: int = 1280, height: int = 800, calm: bool = True) -> None:
        """What the page is told of screen and taste."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", **size)
        tastes = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if calm else "no-preference",
        }
        features = [{"name": name, "value": value} for name, value in tastes.items()]
        self._send("Emulation.setEmulatedMedia", features=features)

    def nameless(self) -> list[str]:
        """What a screen reader would have no name for, by its role."""
        named = ("button", "checkbox", "combobox", "dialog", "image", "link", "list", "searchbox", "textbox")
        nodes = self._send("Accessibility.getFullAXTree")["nodes"]
        shown = [node for node in nodes if not node["ignored"] and node["role"]["value"] in named]
        return [node["role"]["value"] for node in shown if not node.get("name", {}).get("value")]

    def picture(self) -> str:
        """What is on the screen: a PNG in base64."""
        return str(self._send("Page.captureScreenshot", format="png")["data"])

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while (message := self._receive()).get("id") != self._number:
            self._hear(message)
        assert "error" not in message, f"{method}: {message['error']}"
        result: dict[str, Any] = message["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._back], [], [], max(end - time.monotonic(), 0))
            more = os.read(self._back, 1 << 20) if ready else b""
            if not more:
                raise Gone(f"Chromium does not answer; it ended with {self._process.poll()}.")
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _hear(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """A browser that begins with nothing and leaves nothing but `home`."""
    assert CHROMIUM is not None
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    # It reads commands from descriptor 3 and writes to 4, wherever ours happen to lie.
    moved = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    command = ["bash", "-c", moved, CHROMIUM, *FLAGS, f"--user-data-dir={home}", "about:blank"]
    process = subprocess.Popen(
        command,
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(home)},
        start_new_session=True,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(process, ours_out, ours_in)
    finally:
        os.close(ours_out)  # it ends when nobody commands it any more
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours_in)
