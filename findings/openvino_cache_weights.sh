#!/usr/bin/env bash
# OpenVINO's model cache and a retrained network whose .xml stayed the same.
# guess: CACHE_DIR notices that the .bin changed and compiles again; seen: compile_model(path) serves the old weights,
# because only the path, size and time of the .xml are compared. A copy that skips equal files (rsync) leaves the .xml.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q openvino==2026.4.1 numpy==2.4.6

"$dir/venv/bin/python" - "$dir" <<'PY'
import pathlib
import shutil
import sys

import numpy as np
import openvino as ov
from openvino import opset13 as op

room = pathlib.Path(sys.argv[1])


def train(weight: float, name: str) -> pathlib.Path:
    """Save a one-layer network whose weights are all `weight`."""
    x = op.parameter([1, 3, 8, 8], np.float32, name="x")
    kernel = op.constant(np.full((4, 3, 3, 3), weight, np.float32), name="kernel")
    y = op.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1], name="conv")
    result = op.result(y, name="y")
    path = room / name / "net.xml"
    ov.save_model(ov.Model([result], [x], "net"), path)
    return path


def run(path: pathlib.Path, **properties: str) -> float:
    core = ov.Core()
    core.set_property(properties)
    return float(core.compile_model(path, "CPU")(np.ones((1, 3, 8, 8), np.float32))[0][0, 0, 4, 4])


deployed, retrained = train(1, "deployed"), train(2, "retrained")
same = deployed.read_bytes() == retrained.read_bytes()
cache = str(room / "cache")
first = run(deployed, CACHE_DIR=cache)
shutil.copyfile(retrained.with_suffix(".bin"), deployed.with_suffix(".bin"))  # the .xml is equal: nothing to copy
stale, fresh = run(deployed, CACHE_DIR=cache), run(deployed)
print("openvino", ov.__version__)
print(f"both .xml equal: {same}; before: {first}; new weights, cached: {stale}; without a cache: {fresh}")
sys.exit(0 if same and (first, stale, fresh) == (27.0, 27.0, 54.0) else "the behaviour changed")
PY
