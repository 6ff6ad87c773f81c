"""A pruned, distilled INT8 network against the fp32 network that it was made of; status 1 = a limit broke.

    seg-edge prune runs/NAME/best.pt --data CAMVID --target-macs 0.4 --steps 3 --finetune 15 --teacher runs/NAME/best.pt
    seg-edge export runs/NAME/pruned/best.pt --int8 --data CAMVID --out SMALL
    python benchmarks/pruned.py PARENT SMALL [--data CAMVID] [--duration 20] [--json FILE]

PARENT is the parent's artefact. Both sides go from a 1280x720 frame in memory to its overlay in memory, on the same engine
with as many threads, and take turns of half a second; the ratio is taken turn by turn. mIoU is of the val split, through
the same runtime. Limits, for every engine and number of threads: at least 2.5 times as fast, at most 1.0 point of mIoU less.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from seg_edge.core.artefact import onnx_name, sha256, write_json
from seg_edge.core.errors import SegEdgeError
from seg_edge.measure.benchmark.outcome import load_warning
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions
from seg_edge.runtime.modelfile.modelfile import read_spec

FRAME_HW = (720, 1280)
ENGINES, THREADS = ("openvino", "onnxruntime"), (1, 2)
MIN_SPEEDUP, MAX_DROP = 2.5, 0.010


def gates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Speed and accuracy of the small network's rows against the parent's, which come first, engine by engine."""
    found = []
    half = len(rows) // 2
    for parent, small in zip(rows[:half], rows[half:], strict=True):
        where = f"{small['engine']}, {small['threads']} threads"
        ratio = (small["ratio"] or {}).get("e2e")
        drop = None if None in (parent["miou"], small["miou"]) else parent["miou"] - small["miou"]
        found.append({"name": f"{where}: times as fast, end to end", "limit": MIN_SPEEDUP, "value": ratio,
                      "passed": ratio is not None and ratio >= MIN_SPEEDUP})  # fmt: skip
        found.append({"name": f"{where}: mIoU lost, 0 to 1", "limit": MAX_DROP, "value": drop,
                      "passed": drop is not None and drop <= MAX_DROP})  # fmt: skip
    return found


def about(path: Path) -> dict[str, Any]:
    """Which network a file holds, and how it became so small."""
    spec = read_spec(path)
    kept = {key: spec.provenance[key] for key in ("params", "macs", "pruned") if key in spec.provenance}
    return {"name": spec.name, "precision": spec.precision, "sha256": sha256(path), "bytes": path.stat().st_size, **kept}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parent", type=Path, help="artefact of the unpruned network: its fp32 model is measured")
    parser.add_argument("small", type=Path, help="artefact of the pruned one: its INT8 model is measured")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--engine", nargs="+", default=list(ENGINES), help="engines that are measured")
    parser.add_argument("--threads", type=int, nargs="+", default=list(THREADS), help="numbers of CPU threads")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds per configuration")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds to wait for a quiet machine, at most")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "pruned.json")
    args = parser.parse_args()

    files = [args.parent / onnx_name("fp32"), args.small / onnx_name("int8")]
    report = bench(
        files,
        BenchOptions(
            engines=args.engine,
            threads=args.threads,
            frame_hw=FRAME_HW,
            duration_s=args.duration,
            data=args.data,
            wait_s=args.wait,
            relative_to=read_spec(files[0]).name,
        ),
    )
    judged, warning = gates(report["rows"]), load_warning(report)
    rows = [row | {"file": Path(row["file"]).name} for row in report["rows"]]
    write_json(
        args.json,
        {
            "command": "python benchmarks/pruned.py PARENT SMALL", "machine": report["machine"], "load": report["load"],
            "parent": about(files[0]), "small": about(files[1]), "rows": rows, "gates": judged, "warning": warning,
        },
    )  # fmt: skip
    for row in rows:
        miou = "–" if row["miou"] is None else f"{100 * row['miou']:.2f} %"
        print(
            f"{row['precision']} {row['engine']}, {row['threads']} threads: "
            f"frame to overlay {row['e2e_ms']['p50']:.1f} ms, engine {row['engine_ms']['p50']:.1f} ms, mIoU {miou}"
        )
    for gate in judged:
        print(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['name']}: {gate['value']} (limit {gate['limit']})")
    if warning:
        print(f"warning: {warning}")
    return 0 if all(gate["passed"] for gate in judged) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SegEdgeError as error:
        sys.exit(f"pruned: {error}")
