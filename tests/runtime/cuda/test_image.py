"""The arithmetic of the CUDA kernels, run on the CPU, gives the bytes of the C kernels."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from seg_edge.runtime.cuda.compile import SOURCES
from seg_edge.runtime.frame import kernels

CC = shutil.which(os.environ.get("CC", "cc"))
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    target = tmp_path_factory.mktemp("host") / "image_host.so"
    includes = [f"-I{source.parent}" for source in SOURCES]
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"]
    source = Path(__file__).parent / "image_host.c"
    subprocess.run([CC, *flags, *includes, str(source), "-o", str(target), "-lm"], check=True)
    return ctypes.CDLL(str(target))


def at(array):
    return array.ctypes.data_as(ctypes.c_void_p)


SIZES = [
    ((72, 128), (36, 48)), ((72, 128), (35, 47)), ((35, 47), (72, 128)), ((1, 1), (5, 7)), ((9, 11), (1, 1)),
    ((8, 8), (8, 8)), ((720, 1280), (352, 480)), ((30, 40), (20, 80)),
]  # fmt: skip


@pytest.mark.parametrize("rule", ["area", "bilinear"])
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_resize(host, source, target, rule):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (*source, 3), np.uint8)
    frame[: source[0] // 2] = 255  # the edge of the range
    area = rule == "area" and target[0] <= source[0] and target[1] <= source[1]
    out = np.zeros((*target, 3), np.uint8)
    host.host_resize(at(frame), ctypes.c_size_t(3 * source[1]), *source, at(out), *target, int(area))
    np.testing.assert_array_equal(out, kernels.resize(frame, target, rule))


def test_resize_of_a_crop(host):
    frame = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    crop, out = frame[4:36, 10:50], np.zeros((16, 20, 3), np.uint8)
    host.host_resize(at(crop), ctypes.c_size_t(180), 32, 40, at(out), 16, 20, 1)
    np.testing.assert_array_equal(out, kernels.resize(crop, (16, 20)))


def logits(kind, shape):
    rng = np.random.default_rng(2)
    values = rng.normal(0, 3, shape).astype(np.float32)
    if kind == "smooth":  # large areas of one class, as real networks give
        values = np.sort(values.reshape(-1)).reshape(shape)[:, :, ::-1].copy()
    if kind == "ties":
        values = np.round(values)
    if kind == "odd":
        values[0, 0, 0], values[1, 0, 1], values[2, 1, 1] = np.nan, np.inf, -np.inf
    return np.ascontiguousarray(values)


@pytest.mark.parametrize("kind", ["random", "smooth", "ties", "odd"])
@pytest.mark.parametrize(
    ("size", "target"), [((11, 9, 12), (72, 96)), ((3, 8, 10), (31, 43)), ((19, 5, 7), (3, 4)), ((4, 2, 2), (2, 2)),
                         ((256, 3, 3), (12, 12))],
)  # fmt: skip
def test_upsample_argmax_and_overlay(host, kind, size, target):
    values = logits(kind, size)
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (*target, 3), np.uint8)
    palette = rng.integers(0, 256, (size[0], 3), np.uint8)
    corners, mask, overlay = np.zeros(size[1:], np.uint8), np.zeros(target, np.uint8), np.zeros_like(frame)
    host.host_upsample(
        at(values), at(corners), *size, at(palette), at(frame), ctypes.c_uint(77), at(overlay), at(mask), *target
    )
    expected = np.zeros(target, np.uint8)
    painted = kernels.upsample_overlay(values, frame, palette, 77 / 256, mask_out=expected)
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(overlay, painted)
    np.testing.assert_array_equal(mask, kernels.upsample_argmax(values, target))


def test_blend_keeps_void(host):
    rng = np.random.default_rng(4)
    frame, mask = rng.integers(0, 256, (9, 14, 3), np.uint8), rng.integers(0, 6, (9, 14), np.uint8)
    palette, out = rng.integers(0, 256, (4, 3), np.uint8), np.zeros((9, 14, 3), np.uint8)
    host.host_blend(at(mask), at(palette), 4, at(frame), ctypes.c_uint(128), at(out), ctypes.c_size_t(mask.size))
    np.testing.assert_array_equal(out, kernels.blend(mask, frame, palette, 0.5))
    assert (out[mask >= 4] == frame[mask >= 4]).all()
