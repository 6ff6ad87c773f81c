"""What an 8-bit 3x3 convolution costs at widths between multiples of 16, ONNX Runtime, one thread; writes JSON.

    python benchmarks/widths.py [--turns 25] [--json benchmarks/results/widths.json]

One convolution by itself, channels last, as the engine runs it; layers take turns, the median counts. `seg-edge prune
--round-to` is 16 by default because of it. Says nothing of other engines or of CPUs with other instructions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from seg_edge.core.artefact import write_json
from seg_edge.runtime.machine.system import machine, packages

#: Height, width and channels in of a layer, and the numbers of channels out: those of the decoder of unet-s.
LAYERS = (((88, 120, 96), (16, 24, 32)), ((44, 60, 192), (32, 40, 48, 56, 64)), ((22, 30, 288), (96, 104, 112, 120, 128)))


def session(channels_in: int, channels_out: int, size_hw: tuple[int, int]) -> ort.InferenceSession:
    rng = np.random.default_rng(0)
    weights = rng.integers(-100, 100, (channels_out, channels_in, 3, 3)).astype(np.int8)
    constants = {
        "x_scale": np.float32(0.02), "zero": np.uint8(128), "w": weights,
        "w_scale": np.full(channels_out, 0.01, np.float32), "w_zero": np.zeros(channels_out, np.int8),
        "y_scale": np.float32(0.5), "bias": np.zeros(channels_out, np.int32),
    }  # fmt: skip
    inputs = ["x", "x_scale", "zero", "w", "w_scale", "w_zero", "y_scale", "zero", "bias"]
    node = helper.make_node(
        "QLinearConv", inputs, ["y"], domain="com.microsoft", channels_last=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, [1, *size_hw, channels])
        for name, channels in (("x", channels_in), ("y", channels_out))
    ]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph([node], "conv", values[:1], values[1:], stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def measure(turns: int) -> list[dict[str, Any]]:
    rows = []
    for (height, width, channels), wanted in LAYERS:
        x = np.random.default_rng(1).integers(0, 256, (1, height, width, channels), np.uint8)
        sessions = {out: session(channels, out, (height, width)) for out in wanted}
        times_ms: dict[int, list[float]] = {out: [] for out in wanted}
        for turn in range(turns + 2):
            for out, one in sessions.items():
                began = perf_counter()
                one.run(None, {"x": x})
                if turn >= 2:  # the first ones warm up
                    times_ms[out].append(1e3 * (perf_counter() - began))
        for out in wanted:
            ms = median(times_ms[out])
            rows.append({
                "input": [height, width, channels], "channels_out": out, "ms": ms,
                "gmac_per_s": height * width * channels * out * 9 / ms / 1e6,
            })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=25)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "widths.json")
    args = parser.parse_args()
    rows = measure(args.turns)
    write_json(args.json, {"machine": machine() | {"packages": packages()}, "turns": args.turns, "rows": rows})
    for row in rows:
        print(f"{row['input']} to {row['channels_out']}: {row['ms']:.2f} ms, {row['gmac_per_s']:.0f} GMAC/s")


if __name__ == "__main__":
    main()
