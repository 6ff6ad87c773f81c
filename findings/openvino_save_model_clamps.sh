#!/usr/bin/env bash
# openvino.save_model and a constant of one number per channel that reaches beyond float16.
# guess: such a constant stays float32, as a scalar of 1e5 or 1e-8 does; seen: where fewer than three quarters of a
# tensor's numbers are out of range it is stored as float16: 1e5 becomes 65504 and 1e-8 becomes 0, without a message.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q openvino==2026.4.1 numpy==2.4.6

"$dir/venv/bin/python" - "$dir" <<'PY'
import sys

import numpy as np
import openvino as ov
from openvino import opset13 as op

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def saved_and_not(factors) -> tuple[list[float], list[float]]:
    """Products of four ones with `factors`, by the model in memory and by its saved file."""
    x = op.parameter([1, 4, 1, 1], np.float32, name="x")
    model = ov.Model([op.multiply(x, op.constant(np.array(factors, np.float32)))], [x], "net")
    ov.save_model(model, sys.argv[1] + "/net.xml")
    ones, core = np.ones((1, 4, 1, 1), np.float32), ov.Core()
    answers = (core.compile_model(source, "CPU", EXACT)(ones)[0] for source in (model, sys.argv[1] + "/net.xml"))
    return tuple([float(f"{value:.6g}") for value in answer.ravel()] for answer in answers)


per_channel = saved_and_not([[[1]], [[2]], [[1e5]], [[1e-8]]])
large, small = saved_and_not(1e5), saved_and_not(1e-8)
print("openvino", ov.__version__)
print("per channel: in memory", per_channel[0], "saved", per_channel[1])
print("scalar: in memory", large[0][0], small[0][0], "saved", large[1][0], small[1][0])
expected = ([1.0, 2.0, 1e5, 1e-8], [1.0, 2.0, 65504.0, 0.0])
sys.exit(0 if per_channel == expected and large[0] == large[1] and small[0] == small[1] else "the behaviour changed")
PY
