"""seg-edge predict through Ray beside predict alone: images per second after the start, and processor time an image.

    python benchmarks/batch_ray.py [--images 400] [--rounds 3] [--json FILE]

Each side does a quarter of the images and then all of them, on a cluster after a first run that counts nothing; the
difference is what the other three quarters take, without starting and opening the model. Sides: predict alone; --ray on this
machine's cores; a cluster of one node with one core; one of two such nodes. Processor time is that of all of the machine's
processes that the side started. Exits with 3 if a limit is broken: 0.8 of predict alone on one machine, 1.8 of one node on
two. Needs the extra ray.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from seg_edge.core.artefact import GOLDEN_DIR, write_json
from seg_edge.core.shipped import DEFAULT, shipped
from seg_edge.runtime.machine.system import machine

RESULTS = Path(__file__).parent / "results" / "batch_ray.json"
LIMITS = {"one_machine": 0.8, "two_nodes": 1.8}
#: Runs in a process of its own: folder, output folder, address or nothing; prints seconds and its processor seconds.
SIDE = """
import json, sys
from seg_edge.batch import PredictOptions, predict
source, out, ray = sys.argv[1:]
report = predict(source, out, options=PredictOptions(formats="mask", ray=ray or None))
print(json.dumps({"seconds": report.seconds, "images": report.images}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    sides = {"alone": [], "one_machine": [cores], "one_node": [1], "two_nodes": [1, 1]}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        few, many = images(root / "few", words.images // 4), images(root / "many", words.images)
        for turn in range(words.rounds):
            for name in list(sides) if turn % 2 == 0 else list(sides)[::-1]:
                with cluster(sides[name]) as address:
                    if address:  # a cluster's first run starts its processes
                        measured(few, root / f"{name}-first", address)
                    first, second = (measured(path, root / f"{name}-{path.name}", address) for path in (few, many))
                count = second["images"] - first["images"]
                row = {key: (second[key] - first[key]) / count for key in ("seconds", "cpu")}
                rows[name].append(row)
                print(
                    f"round {turn + 1}: {name}: {1 / row['seconds']:.1f} images/s, {1e3 * row['cpu']:.1f} ms CPU", flush=True
                )
    rate = {name: 1 / median(row["seconds"] for row in values) for name, values in rows.items()}
    cpu = {name: median(row["cpu"] for row in values) for name, values in rows.items()}
    found: dict[str, Any] = {
        "machine": machine(),
        "images": words.images,
        "images_per_s": {name: round(value, 2) for name, value in rate.items()},
        "cpu_ms": {name: round(1e3 * value, 2) for name, value in cpu.items()},
        "one_machine": round(rate["one_machine"] / rate["alone"], 3),
        "two_nodes": round(rate["two_nodes"] / rate["one_node"], 3),
    }
    found["broken"] = [name for name, least in LIMITS.items() if found[name] < least]
    write_json(words.json, found)
    print(json.dumps({key: value for key, value in found.items() if key != "machine"}, indent=1))
    return 3 if found["broken"] else 0


def images(folder: Path, count: int) -> Path:
    """1280x720 JPEGs of street scenes, no two alike."""
    golden = [path for path in sorted((shipped(DEFAULT) / GOLDEN_DIR).glob("frame*.png")) if path.name.count(".") == 1]
    frames = [cv2.resize(cv2.imread(str(path)), (1280, 720)) for path in golden]
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:05}.jpg"), np.roll(frames[number % len(frames)], 7 * number, axis=1))
    return folder


@contextmanager
def cluster(nodes: list[int]) -> Iterator[str]:
    """The address of a cluster with so many cores on each of its nodes; nothing without nodes."""
    if not nodes:
        yield ""
        return
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": nodes[0], "include_dashboard": False})
    try:
        for count in nodes[1:]:
            made.add_node(num_cpus=count)
        yield made.address
    finally:
        made.shutdown()


def measured(source: Path, out: Path, address: str) -> dict[str, float]:
    """Images, seconds and processor seconds of a run."""
    before = spent()
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, "-c", SIDE, str(source), str(out), address]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{source.name} at {address or 'home'}: status {done.returncode}: {done.stderr.strip()[-2000:]}")
    time.sleep(1)  # the actors end
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "cpu": spent() - before}


def spent() -> float:
    """Processor seconds of this process's descendants, living and ended ones."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    times: dict[int, float] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry)] = int(fields[1])
        # utime, stime, and those of children that were waited for.
        times[int(entry)] = sum(map(int, fields[11:15])) / tick
    total = 0.0
    for number in times:
        at = number
        while at in parents and at != os.getpid():
            at = parents[at]
        if at == os.getpid():
            total += times[number]
    return total


if __name__ == "__main__":
    sys.exit(main())
