"""The commands and programs of ``docs/serve.md`` run, with another port."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.shipped import DEFAULT

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(serve, tmp_path, monkeypatch):
    """A folder with a picture, and a function that puts a service's address into a text."""
    client = serve(DEFAULT)
    cv2.imwrite(str(tmp_path / "street.jpg"), np.full((48, 64, 3), 90, np.uint8))
    monkeypatch.chdir(tmp_path)
    return lambda text: text.replace("127.0.0.1:8000", f"{client.host}:{client.port}")


def test_the_curl_lines(here, need):
    need("curl")
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        done = subprocess.run([*shlex.split(here(line)), "-sS", "--fail"], capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, (line, done.stderr)
    assert cv2.imread("mask.png").shape == cv2.imread("overlay.jpg").shape == (48, 64, 3)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_programs(here, number):
    code = here(blocks("python")[number])
    if "tritonclient" in code:
        pytest.importorskip("tritonclient")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_option_that_the_page_names_exists():
    from seg_edge.cli.derive import flag_of
    from seg_edge.core.options import declared
    from seg_edge.serve import ServeOptions

    known = {flag_of(name, info) for name, info, _ in declared(ServeOptions)} | {"--no-scaled-decode", "--engine"}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert {"--drain", "--token-file", "--max-megapixels"} <= named
    assert named <= known
