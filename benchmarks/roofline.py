"""How far the kernels are from what the machine can do; writes benchmarks/results/roofline.json.

    python benchmarks/roofline.py [--rounds 40] [--threads 1,2] [--json FILE]

For each operation on a 1280x720 frame: the bytes that must move (every input read once, every output written once), the
arithmetic that its definition asks for, the time that each would take at the machine's measured rates, and the time
measured. ``ratio`` is measured ÷ the larger of the two: 1 is the machine's limit. The rates are measured in the same run,
taking turns with the kernels, with the same number of threads:

- memory: ``np.copyto`` between arrays several times as large as the last cache, bytes read and written;
- arithmetic: float32 matrix product, 2 n³ operations. The kernels neither fuse multiply and add (all instruction sets must
  round alike) nor are they all float, so this limit is out of their reach; it shows whether memory or arithmetic binds.

Frames and outputs rotate through as much memory, so that none is still in a cache. A live frame often is: then a kernel can
be faster than the memory limit. Operations are counted as the definition has them, not as the vectors do them. What other
processes took meanwhile is recorded (``other_cores``): above 0.1 the times are too long.
"""

from __future__ import annotations

import os

# The matrix product's own threads: as many as are asked for, set by this script's. Must be said before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from kernels import CLASSES, FRAME_HW, INPUT_HW, boundary_share, cpu_name, medians_ms, street_label, street_logits

from seg_edge.core.artefact import write_json
from seg_edge.core.labels import CAMVID
from seg_edge.measure.instruments.sensors import OtherLoad
from seg_edge.runtime.frame import kernels

PIXELS, INPUT_PIXELS = FRAME_HW[0] * FRAME_HW[1], INPUT_HW[0] * INPUT_HW[1]
MATRIX = 384  # 3 matrices of 0.6 MB: in cache, and long enough to time


def last_cache_bytes() -> int:
    """Size of the largest cache of a core; 32 MiB where the system doesn't say."""
    largest = 0
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = file.read_text(encoding="ascii").strip()
        largest = max(largest, int(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]])
    return largest or 32 * 2**20


def operations(logits: Any) -> dict[str, tuple[int, float]]:
    """Per operation: bytes that must move, and arithmetic operations, both per frame.

    A multiplication, addition, comparison or shift is one operation.
    """
    frame, small, mask = 3 * PIXELS, 3 * INPUT_PIXELS, PIXELS
    rows, columns = (full / part for full, part in zip(FRAME_HW, INPUT_HW, strict=True))
    # Vertically every input byte has a weight; horizontally an output byte has as many as its box touches, rounded up.
    area = 2 * frame + 2 * (np.ceil(columns) + 1) * small
    taps = INPUT_HW[0] * FRAME_HW[1]  # pixels between the two passes
    vertical_yuv = 2 * 1.5 * PIXELS + 15 * taps  # 5 products, 4 sums, 3 roundings and shifts, 3 clamps
    compare = logits.size  # the highest class at each corner
    lerp = boundary_share(logits) * PIXELS * CLASSES * (3 * 3 + 1)  # three interpolations and a comparison
    mix = 3 * frame  # times, plus, shift
    bytes_of = {"f32": 4 * logits.size, "i8": logits.size}
    return {
        "resize area": (frame + small, area),
        "resize area nv12": (frame // 2 + small, vertical_yuv + 2 * (np.ceil(columns) + 1) * small),
        "mask": (bytes_of["f32"] + mask, compare + lerp),
        "overlay": (bytes_of["f32"] + 2 * frame, compare + lerp + mix),
        "overlay and mask": (bytes_of["f32"] + 2 * frame + mask, compare + lerp + mix),
        "overlay int8": (bytes_of["i8"] + 2 * frame, compare + lerp + mix),
        "overlay contours": (bytes_of["f32"] + 2 * frame, compare + lerp + mix + 8 * PIXELS),
    }


def sides(threads: int, executor: ThreadPoolExecutor) -> tuple[dict[str, Callable[[], object]], dict[str, int]]:
    """What is timed, and how many bytes or operations the two probes of the machine stand for."""
    rng = np.random.default_rng(0)
    cache = last_cache_bytes()
    count = max(4, 2 * cache // (3 * PIXELS) + 1)
    frames = rng.integers(0, 256, (count, *FRAME_HW, 3), np.uint8)
    nv12 = frames.reshape(count, -1)[:, : PIXELS * 3 // 2].reshape(count, FRAME_HW[0] * 3 // 2, FRAME_HW[1])
    overlays, masks = np.zeros_like(frames), np.zeros((count, *FRAME_HW), np.uint8)
    logits = street_logits(street_label()[0])
    codes = np.clip(np.rint(12 * logits), -128, 127).astype(np.int8)
    small, palette, turn = np.empty((*INPUT_HW, 3), np.uint8), CAMVID.palette_bgr, cycle(range(count))

    def overlay(values: Any = logits, mask: bool = False, **style: Any) -> None:
        i = next(turn)
        kernels.upsample_overlay(
            values, frames[i], palette, 0.5, overlays[i], masks[i] if mask else None, threads=threads, **style
        )

    source = np.zeros((threads, max(cache * 2 // threads, 2**25)), np.uint8)
    target = np.ones_like(source)
    a = rng.normal(size=(threads, MATRIX, MATRIX)).astype(np.float32)
    product = np.empty_like(a)
    repeats = 8

    def multiply(i: int) -> None:
        for _ in range(repeats):
            np.matmul(a[i], a[i], out=product[i])

    probes = {"memory": 2 * source.nbytes, "arithmetic": threads * repeats * 2 * MATRIX**3}
    table: dict[str, Callable[[], object]] = {
        "memory": lambda: list(executor.map(np.copyto, target, source)),
        "arithmetic": lambda: list(executor.map(multiply, range(threads))),
        "resize area": lambda: kernels.resize(frames[next(turn)], INPUT_HW, out=small, threads=threads),
        "resize area nv12": lambda: kernels.resize(
            nv12[next(turn)], INPUT_HW, out=small, pixel_format="nv12", threads=threads
        ),
        "mask": lambda: kernels.upsample_argmax(logits, FRAME_HW, masks[next(turn)], threads=threads),
        "overlay": overlay,
        "overlay and mask": lambda: overlay(mask=True),
        "overlay int8": lambda: overlay(codes),
        "overlay contours": lambda: overlay(line_palette_bgr=palette),
    }
    return table, probes


def roofline(threads: int, rounds: int) -> dict[str, Any]:
    """The table for one number of threads."""
    with ThreadPoolExecutor(threads) as executor:
        table, probes = sides(threads, executor)
        times = medians_ms(table, rounds)
    bandwidth, rate = (probes[name] / times[name] * 1e3 for name in ("memory", "arithmetic"))
    rows = []
    for name, (moved, work) in operations(street_logits(street_label()[0])).items():
        memory_ms, arithmetic_ms = 1e3 * moved / bandwidth, 1e3 * work / rate
        rows.append(
            {
                "operation": name,
                "bytes": int(moved),
                "operations": round(float(work)),
                "memory_ms": round(memory_ms, 4),
                "arithmetic_ms": round(arithmetic_ms, 4),
                "bound": "memory" if memory_ms >= arithmetic_ms else "arithmetic",
                "p50_ms": times[name],
                "ratio": round(times[name] / max(memory_ms, arithmetic_ms), 2),
            }
        )
    return {"threads": threads, "bytes_per_s": round(bandwidth), "operations_per_s": round(rate), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description="How far the kernels are from the machine's limits.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", default="1,2", help="Numbers of threads, comma-separated.")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "roofline.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    load, label = OtherLoad(), street_label()[1]
    load.start()
    tables = [roofline(int(count), options.rounds) for count in options.threads.split(",")]
    load.stop()
    for table in tables:
        print(
            f"\n{table['threads']} thread(s): memory {table['bytes_per_s'] / 1e9:.1f} GB/s, "
            f"arithmetic {table['operations_per_s'] / 1e9:.0f} Gop/s"
        )
        print(f"{'operation':18} {'MB':>7} {'Mop':>7} {'memory':>9} {'arithm.':>9} {'measured':>9}  ratio")
        for row in table["rows"]:
            print(
                f"{row['operation']:18} {row['bytes'] / 1e6:7.2f} {row['operations'] / 1e6:7.1f} {row['memory_ms']:9.3f} "
                f"{row['arithmetic_ms']:9.3f} {row['p50_ms']:9.3f}  {row['ratio']:5.2f} ({row['bound']})"
            )
    print(f"\nother processes kept {load.cores or 0:.2f} cores busy meanwhile")
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "isa": kernels.isa(), "last_cache_bytes": last_cache_bytes()}
    setup = {"frame_hw": FRAME_HW, "input_hw": INPUT_HW, "classes": CLASSES, "label": label, "rounds": options.rounds}
    report = {"command": "python benchmarks/roofline.py", "machine": machine | {"numpy": np.__version__}, "setup": setup}
    write_json(
        options.json, report | {"other_cores": None if load.cores is None else round(load.cores, 2), "tables": tables}
    )


if __name__ == "__main__":
    main()
