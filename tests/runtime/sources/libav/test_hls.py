"""What benchmarks/hls.py says of a run, and one short run: most frames arrive, in order, soon after their segment."""

from __future__ import annotations

import threading
from functools import partial
from http.server import ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from seg_edge.runtime import Segmenter


@pytest.fixture(scope="module")
def hls():
    spec = spec_from_file_location("hls", Path(__file__).parents[4] / "benchmarks" / "hls.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_frames_bear_their_number(hls):
    assert [hls.number_of(hls.numbered(number)) for number in (0, 1, 1000, 65535)] == [0, 1, 1000, 65535]


@pytest.mark.parametrize(
    ("numbers", "age_s", "passed"),
    [
        (range(100), 3.9, True),
        (range(0, 100, 2), 3.9, False),  # half of them
        (range(100), 4.6, False),  # too old
        ([5] * 100, 3.9, True),  # one frame over and over is one
        ([0] * 50 + [99] * 50, 3.9, False),
    ],
)
def test_limits(hls, numbers, age_s, passed):
    run = {"numbers": list(numbers), "ages_s": [age_s] * 100}
    assert hls.report(run, 25, 2, 100)["passed"] is passed


def test_a_slow_network_is_asked_for_what_it_can_do(hls):
    run = {"numbers": list(range(0, 100, 2)), "ages_s": [3.0] * 50}
    assert hls.report(run, 25, 2, 12.5)["passed"]


def test_a_live_stream(hls, need, tmp_path, tiny_model):
    need("ffmpeg")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(hls.Quiet, directory=str(tmp_path)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    camera = hls.Camera(tmp_path, 25, 0.2)
    camera.start()
    try:
        while not (tmp_path / "live.m3u8").exists():
            camera.join(0.02)
        with Segmenter(tiny_model) as segmenter:
            run = hls.watch(f"http://127.0.0.1:{server.server_address[1]}/live.m3u8", camera, segmenter, 1.0)
    finally:
        camera.close()
        server.shutdown()
        server.server_close()
    numbers = run["numbers"]
    # More than the newest frame of each segment, which are 5 apart, and never backwards. A busy machine leaves gaps.
    assert len(numbers) > 4
    assert np.median(np.diff(numbers)) <= 3
    assert numbers == sorted(set(numbers))
    assert min(run["ages_s"]) >= 0
