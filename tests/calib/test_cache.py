from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from seg_edge.calib import cache
from seg_edge.calib.graph import set_spec, set_weight
from seg_edge.calib.scales import QuantParams

ALGORITHM = {"observer": "minmax", "weights": "full"}
CALIBRATION = cache.Calibration(
    {"a": QuantParams(float(np.float32(0.1)), 0), "b": QuantParams(0.25, 128)},
    {"bias": np.array([0.1, -1 / 3, 1e-20], np.float32)},
)


@pytest.fixture
def key(tiny, nets):
    return cache.cache_key(tiny, nets.frames(2), ALGORITHM)


@pytest.fixture
def path(tmp_path, key):
    path = tmp_path / cache.CACHE_FILE
    cache.save(path, key, CALIBRATION)
    return path


def test_a_calibration_comes_back_bit_for_bit(path, key):
    found, reason = cache.load(path, key)
    assert reason == ""
    assert found.activations == CALIBRATION.activations
    assert np.array_equal(found.biases["bias"], CALIBRATION.biases["bias"])
    assert found.biases["bias"].dtype == np.float32


def test_each_change_is_named(path, key, tiny, nets):
    other = onnx.ModelProto()
    other.CopyFrom(tiny)
    set_weight(other, "mean_bgr", np.zeros(3, np.float32))
    changed = [nets.frames(2)[0], nets.frames(2)[1] ^ 1]
    for new, expected in (
        (cache.cache_key(other, nets.frames(2), ALGORITHM), "graph changed"),
        (cache.cache_key(tiny, changed, ALGORITHM), "calibration set changed"),
        (cache.cache_key(tiny, nets.frames(3), ALGORITHM), "frames (2 -> 3), calibration set changed"),
        (
            cache.cache_key(tiny, nets.frames(2), ALGORITHM | {"observer": "mse"}),
            "algorithm (observer minmax -> observer mse) changed",
        ),
        (
            cache.cache_key(tiny, nets.frames(2), ALGORITHM, {"resize": "area", "input": "64x96"}),
            "preprocessing (none -> resize area, input 64x96) changed",
        ),
        (key | {"method": 99}, f"method ({cache.METHOD} -> 99) changed"),
        (key | {"versions": {"onnxruntime": "0"}}, "-> onnxruntime 0) changed"),
    ):
        found, reason = cache.load(path, new)
        assert found is None
        assert reason.endswith(expected)


def test_metadata_is_no_part_of_the_key(key, tiny, nets):
    other = onnx.ModelProto()
    other.CopyFrom(tiny)
    set_spec(other, nets.SPEC.with_(name="renamed"))
    assert cache.cache_key(other, nets.frames(2), ALGORITHM) == key


def test_a_missing_damaged_or_foreign_file_has_a_reason(tmp_path, path, key):
    assert cache.load(tmp_path / "none", key) == (None, "no calibration cache yet")
    data = json.loads(path.read_text())
    for text, reason in (
        ("{", "can't be read"),
        ("[]", "can't be read"),
        (json.dumps(data | {"format": 99}), "format 99"),
        (json.dumps(data | {"activations": {"a": "x"}}), "can't be read"),
    ):
        path.write_text(text)
        found, why = cache.load(path, key)
        assert found is None
        assert reason in why
