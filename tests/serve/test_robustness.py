"""``benchmarks/serve_robustness.py`` with small counts."""

from __future__ import annotations

import random
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "serve_robustness.py"


@pytest.fixture(scope="module")
def robustness():
    found = spec_from_file_location("seg_edge_serve_robustness", FILE)
    module = module_from_spec(found)
    sys.modules[found.name] = module  # its dataclasses look themselves up
    path = list(sys.path)
    found.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.fixture(scope="module")
def jpeg():
    frame = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8), (640, 360))
    return cv2.imencode(".jpg", frame)[1].tobytes()


def test_malformed_requests(robustness, tiny_model, jpeg, tmp_path):
    (tmp_path / "token").write_text(robustness.TOKEN)
    words = ["--token-file", str(tmp_path / "token"), "--body-timeout", "5"]
    with robustness.service(str(tiny_model), tmp_path, *words) as target:
        found = robustness.malformed(target, jpeg, 400)
        assert found["wrong"] == []
        assert found["memory_mib"] < robustness.LIMITS["malformed_mib"]
        assert sum(found["kinds"].values()) == 400
        assert len(found["kinds"]) > 15
    assert "Traceback" not in (tmp_path / "serve.log").read_text()


def test_sigterm(robustness, tiny_model, jpeg, tmp_path):
    dice = random.Random(0)
    for _ in range(2):
        outcomes = robustness.sigterm_under_load(str(tiny_model), tmp_path, jpeg, dice)
        assert outcomes["lost"] == 0
        assert outcomes["exit 0"] == 1
        assert outcomes["refused"] == 6
        assert outcomes["200"] > 0


def test_slow_clients(robustness, tiny_model, jpeg, tmp_path):
    with robustness.service(str(tiny_model), tmp_path, "--body-timeout", "30") as target:
        found = robustness.slow_clients(target, jpeg, 1.5)
        assert found["ratio"] < 8  # of a second on a busy machine; the benchmark holds 2


def test_a_soak(robustness, tiny_model, jpeg, tmp_path):
    with robustness.service(str(tiny_model), tmp_path) as target:
        found = robustness.soak(target, jpeg, 3, 2)
        assert found["requests"] > 20
        assert found["grown_mib"] < 16
        assert found["descriptors_left"] <= 0
