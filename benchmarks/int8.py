"""INT8 against fp32 on each engine, one thread, sides taking turns; writes a JSON file.

    python benchmarks/int8.py ARTEFACT [--data DIR] [--threads 1] [--turns 10] [--starts 7] [--json FILE]

Sides: fp32; INT8 in the engine's own dialect; INT8 as the file stands, where that is another thing. With --data also the
val mIoU of TensorRT's dialect, computed by ONNX Runtime in float from its Q/DQ graph, beside that of the file: what the bit
costs that TensorRT has no use for.

Where the system lays a process's memory decides which of it shares lines of the second-level cache: a convolution whose
weights fill that cache takes up to twice as long in one process as in the next, from start to end. So everything is
measured in several processes (--starts), and the ratio is the median of theirs. Figures of a machine
that does other work at the same time are no results.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np
import onnx

from seg_edge.calib.graph import run, session
from seg_edge.core.artefact import onnx_name, write_json
from seg_edge.core.metrics import ConfusionMatrix
from seg_edge.datasets.opening import open_dataset
from seg_edge.export.checks.frames import generated_frames, network_input
from seg_edge.export.graph.quantize import float_convolutions
from seg_edge.measure.benchmark.turns import SETTLE_S
from seg_edge.runtime.engines import engine_class, engines
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.machine.system import machine
from seg_edge.runtime.modelfile.dialect import DIALECTS, translate
from seg_edge.runtime.modelfile.modelfile import read_spec


def latencies_ms(artefact: Path, engine: str, threads: int, turns: int) -> dict[str, float]:
    """Median latency of each side on one engine."""
    int8 = artefact / onnx_name("int8")
    spec = read_spec(int8)
    kind = engine_class(engine)
    sides = {
        "fp32": kind(artefact / onnx_name("fp32"), read_spec(artefact / onnx_name("fp32")), threads),
        "int8": kind(int8, spec, threads),
    }
    if DIALECTS.get(engine):
        # A spec of another precision is how an engine is told to open the file itself.
        sides["int8 as it stands"] = kind(int8, spec.with_(precision="fp32"), threads)
    frame = generated_frames(spec.input_hw)[0][None]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _turn in range(turns):
        for name, side in sides.items():
            sleep(SETTLE_S)
            for i in range(8):
                started = perf_counter()
                side.infer(frame)
                if i >= 2:
                    times[name].append(1e3 * (perf_counter() - started))
    for side in sides.values():
        side.close()
    return {name: float(np.median(values)) for name, values in times.items()}


def in_fresh_processes(artefact: Path, engine: str, threads: int, turns: int, starts: int) -> list[dict[str, float]]:
    """:func:`latencies_ms`, each time in a process of its own."""
    found = []
    for _start in range(starts):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found.append(pool.submit(latencies_ms, artefact, engine, threads, turns).result())
    return found


def mious(artefact: Path, data: Path) -> dict[str, float]:
    """Val mIoU of the file and of TensorRT's dialect, both computed in float as their Q/DQ graphs are written."""
    path = artefact / onnx_name("int8")
    spec = read_spec(path)
    model = path.read_bytes()
    found: dict[str, float] = {}
    for name, graph in (("as it stands", model), ("tensorrt", translate(model, "tensorrt"))):
        opened = session(onnx.load_from_string(graph), fuse_quantized=False)
        matrix = ConfusionMatrix(len(spec.labels))
        for frame, target in open_dataset(data, "val", spec.labels):
            logits = run(opened, network_input(frame, spec))[0][0]
            matrix.update(kernels.upsample_argmax(logits, target.shape), np.asarray(target))
        found[name] = matrix.miou
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artefact", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "int8.json")
    options = parser.parse_args()
    left = float_convolutions(onnx.load(str(options.artefact / onnx_name("int8"))))
    result: dict[str, Any] = {"machine": machine(), "threads": options.threads, "float_convolutions": left, "engines": {}}
    result["starts"] = options.starts
    for row in engines():
        if row.available:
            starts = in_fresh_processes(options.artefact, row.name, options.threads, options.turns, options.starts)
            found = {name: float(np.median([each[name] for each in starts])) for name in starts[0]}
            ratios = sorted(each["int8"] / each["fp32"] for each in starts)
            result["engines"][row.name] = {"latency_ms": found, "ratio": float(np.median(ratios)), "ratios": ratios}
            sides = ", ".join(f"{name} {value:.2f} ms" for name, value in found.items())
            spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
            print(f"{row.name}: {sides}; INT8 / fp32 {np.median(ratios):.3f} ({spread} in {len(ratios)} processes)")
    if options.data:
        result["miou"] = mious(options.artefact, options.data)
        print({name: round(100 * value, 2) for name, value in result["miou"].items()})
    write_json(options.json, result)
    print(options.json)


if __name__ == "__main__":
    main()
