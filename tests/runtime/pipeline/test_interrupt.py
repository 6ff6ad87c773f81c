"""Ctrl-C ends a run in good order, whatever its source does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

HANGING = """
import json, sys, time
import numpy as np
from seg_edge.runtime import Pipeline, Segmenter, Source, SourceFrame, open_sink

class Hanging(Source):
    live = True
    def __iter__(self):
        for i in range(5):
            yield SourceFrame(np.full((32, 40, 3), i, np.uint8), i, "f", time.perf_counter())
        print("hanging", flush=True)
        time.sleep(60)  # a driver that never answers

pipeline = Pipeline(Hanging("camera"), Segmenter(sys.argv[1]), [open_sink("none")], in_flight=json.loads(sys.argv[2]))
try:
    pipeline.run()
except KeyboardInterrupt:
    print(json.dumps(pipeline.stats()), flush=True)
"""


@pytest.mark.parametrize("in_flight", [1, None], ids=["one at a time", "in flight"])
def test_ctrl_c_stops_within_two_seconds_even_if_the_camera_hangs(tiny_model, in_flight):
    words = [sys.executable, "-c", HANGING, str(tiny_model), json.dumps(in_flight)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "hanging\n"
        time.sleep(0.2)
        started = time.perf_counter()
        process.send_signal(signal.SIGINT)
        stats = json.loads(process.stdout.readline())
        assert time.perf_counter() - started < 2
        assert stats["state"] == "interrupted"
        assert process.wait(5) == 0
