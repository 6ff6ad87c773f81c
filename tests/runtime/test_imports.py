"""The runtime is what an edge device gets: it must import and run where torch, onnx and the other stages are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import seg_edge.runtime

ROOT = Path(seg_edge.runtime.__file__).parent

BLOCK = """
import importlib, sys

class Blocker:
    names = ("torch", "torchvision", "lightning", "onnx", "onnxsim", "seg_edge.train", "seg_edge.export", "seg_edge.calib")
    def find_spec(self, name, path=None, target=None):
        if any(name == blocked or name.startswith(blocked + ".") for blocked in self.names):
            raise ImportError(f"the runtime must not import {name}")

sys.meta_path.insert(0, Blocker())
"""


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code, *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_every_runtime_module_imports_without_the_training_stack():
    names = sorted(
        ".".join(("seg_edge.runtime", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for path in ROOT.rglob("*.py")
    )
    assert "seg_edge.runtime.engines.openvino" in names
    done = python(f"for name in {names!r}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


def test_the_blocker_blocks():
    assert "must not import torch" in python("import torch").stderr
    assert "must not import seg_edge.train" in python("import seg_edge.train").stderr


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_runs_without_the_training_stack(tmp_path, tiny_onnx, precision):
    tiny_model = tmp_path / "model.onnx"
    tiny_onnx(tiny_model, precision=precision)
    code = """
import numpy as np
from seg_edge import Segmenter
from seg_edge.runtime.engines import engines
for row in engines(".onnx"):
    if row.available:
        print(Segmenter(sys.argv[1], row.name)(np.zeros((48, 64, 3), np.uint8)).shape)
"""
    done = python(code, str(tiny_model))
    assert done.returncode == 0, done.stderr
    assert "(48, 64)" in done.stdout


def test_reading_a_spec_needs_no_opencv_and_no_engine(tiny_model):
    code = """
Blocker.names += ("cv2", "onnxruntime", "openvino")
from seg_edge.runtime import read_spec
print(read_spec(sys.argv[1]).name)
"""
    done = python(code, str(tiny_model))
    assert (done.returncode, done.stdout) == (0, "tiny\n"), done.stderr


def test_surface():
    assert seg_edge.runtime.__all__ == sorted(seg_edge.runtime.__all__)
    for name in seg_edge.runtime.__all__:
        assert getattr(seg_edge.runtime, name).__name__ == name
