"""The window, on a virtual display."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from seg_edge.runtime import open_sink
with open_sink("window") as sink:
    for i in range(20):
        sink.write(np.full((48, 64, 3), 10 * i, np.uint8))
    print("shown", sink.stop)
"""


@pytest.fixture
def display(need):
    """The name of a virtual display's server."""
    need("Xvfb")
    read, write = os.pipe()
    # It chooses a free number itself, and tells it when it is ready.
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    with subprocess.Popen(words, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        os.close(write)
        try:
            assert select.select([read], [], [], 20)[0]
            yield f":{os.read(read, 16).decode().strip()}"
        finally:
            os.close(read)
            server.terminate()


def test_window(display):
    environment = {**os.environ, "DISPLAY": display}
    environment.pop("WAYLAND_DISPLAY", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if "built without windows" in done.stderr:
        pytest.skip("this OpenCV has no windows")
    assert (done.returncode, done.stdout) == (0, "shown False\n"), done.stderr
