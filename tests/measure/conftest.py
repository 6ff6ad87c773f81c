"""An artefact and a benchmark of it that several tests read."""

from __future__ import annotations

import pytest

from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions


@pytest.fixture(scope="module")
def artefact(tmp_path_factory, tiny_onnx):
    """An artefact folder with two precisions."""
    folder = tmp_path_factory.mktemp("art") / "tiny"
    for precision in ("int8", "fp32"):
        tiny_onnx(folder / f"model.{precision}.onnx", precision=precision)
    return folder


@pytest.fixture(scope="module")
def report(artefact):
    return bench([artefact], BenchOptions(threads=[1, 2], frame_hw=(60, 80), runs=12))
