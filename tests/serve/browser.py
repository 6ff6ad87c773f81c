"""A headless Chromium over its debugging protocol: enough to open a page, use it, and look at it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: Headless as root, without a GPU, and with a camera that shows a moving pattern.
_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-extensions", "--mute-audio", "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip


def program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One tab; use as a context.

    Args:
        path: Of the program.
        camera: A file for the camera (``.y4m``, ``.mjpeg``); None is Chromium's own pattern.
    """

    def __init__(self, path: str, camera: Path | None = None) -> None:
        self._path, self._camera = path, camera
        self._number = 0
        #: Errors that the page's scripts raised or printed.
        self.errors: list[str] = []

    def __enter__(self) -> Browser:
        from websockets.sync.client import connect

        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="chromium", ignore_cleanup_errors=True))
            extra = [f"--user-data-dir={folder}"]
            if self._camera is not None:
                extra.append(f"--use-file-for-fake-video-capture={self._camera}")
            self._process = subprocess.Popen(
                [self._path, *_FLAGS, *extra, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "HOME": folder},
            )  # fmt: skip
            stack.callback(self._process.wait, 20)
            stack.callback(self._process.terminate)
            port_file = Path(folder) / "DevToolsActivePort"
            self._until(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1)
            port = port_file.read_text().split("\n")[0]
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                tab = next(row for row in json.load(answer) if row["type"] == "page")
            self._link = stack.enter_context(connect(tab["webSocketDebuggerUrl"], max_size=None))
            for domain in ("Page", "Runtime", "DOM", "Log"):
                self._send(f"{domain}.enable")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, address: str, width: int, height: int, mobile: bool = False) -> None:
        """Loads a page in a window of that size."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self._send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href.startsWith('http')")

    def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        answer = self._send("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Waits until an expression is true."""
        self._until(lambda: self.run(condition), seconds, condition)

    def choose_file(self, selector: str, path: Path) -> None:
        root = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key: str) -> None:
        """A key: ``"Tab"``, ``"Enter"``, ``" "``, an arrow or ``"f"``."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "f": 70}[
            key
        ]
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        self._send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self._send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def click(self, x: float, y: float) -> None:
        """The left button at a place in the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tap(self, x: float, y: float) -> None:
        """A finger at a place in the window."""
        self._send("Emulation.setTouchEmulationEnabled", enabled=True)
        self._send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self._send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def downloads(self, folder: Path) -> None:
        """Keeps what pages save in a folder."""
        self._send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def screenshot(self, path: Path, whole: bool = False) -> None:
        form: dict[str, Any] = {"format": "jpeg", "quality": 70} if path.suffix == ".jpg" else {"format": "png"}
        data = self._send("Page.captureScreenshot", captureBeyondViewport=whole, **form)["data"]
        path.write_bytes(base64.b64decode(data))

    def _send(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._link.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (answer := json.loads(self._link.recv(60))).get("id") != self._number:
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(answer["params"]["exceptionDetails"])[:500])
            elif answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error":
                self.errors.append(json.dumps(answer["params"]["entry"])[:500])
        assert "error" not in answer, answer
        return answer["result"]

    def _until(self, condition: Any, seconds: float = 60, text: str = "the browser") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self._process.poll() is None, "the browser ended"
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {text}"
            time.sleep(0.05)
