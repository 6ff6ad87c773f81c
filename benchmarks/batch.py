"""seg-edge predict on a folder: speed beside the plain loop, memory, kills and resumption.

    python benchmarks/batch.py [--images 400] [--many 100000] [--only speed|memory|kills] [--rounds 3] [--json FILE]
                               [--camvid FOLDER] [--ultralytics-python PYTHON]

speed: 1280x720 JPEGs to mask PNGs, processes with their start, in turns with the loop that people write (cv2.imread, ONNX
Runtime on the same INT8 file, cv2.resize of the logits, argmax, cv2.imwrite); agreement of the masks. The JPEGs are
photographs of CamVid's val split, enlarged, plain and mirrored, dark and bright; without CamVid the frames of the model's
golden set. With a Python that has ultralytics also its predict with saved masks, on yolo26n-sem built from its YAML at our
input's size: untrained, since its weights are downloads, so that only its speed counts. memory: the peak for 1,000 and for
many small images, with a network of one pooling. kills: signal 9 at random moments of a run over the many, each resumed; the
cost of resuming when everything is done. Exits with 3 if a limit is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from seg_edge.core.artefact import GOLDEN_DIR, write_json
from seg_edge.core.shipped import DEFAULT, shipped
from seg_edge.runtime.machine.system import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "batch.json"
#: Least times as many images a second as the loop; least agreement of scaled decoding; most peak memory of many images
#: divided by that of 1,000; most seconds that resuming 100,000 done images costs beyond a run of one image.
LIMITS = {"speed": 4.8, "ultralytics": 8.0, "scaled_agreement": 0.995, "memory": 1.1, "resume_s": 2.0}
KILLS = 20

LOOP = """
import os, sys, cv2, numpy as np, onnxruntime as ort
source, out, model = sys.argv[1:]
session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
height, width = given.shape[1:3]
os.makedirs(out, exist_ok=True)
for name in sorted(os.listdir(source)):
    image = cv2.imread(os.path.join(source, name))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    logits = session.run(None, {given.name: small[None]})[0][0].transpose(1, 2, 0)
    full = cv2.resize(logits, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite(os.path.join(out, name[:-4] + ".png"), full.argmax(2).astype(np.uint8))
"""

ULTRALYTICS = """
import os, sys, cv2, numpy as np
os.environ["YOLO_OFFLINE"] = "true"
os.environ["YOLO_CONFIG_DIR"] = sys.argv[2] + "-settings"
from ultralytics import YOLO
source, out, size = sys.argv[1:]
os.makedirs(out, exist_ok=True)
model = YOLO("yolo26n-sem.yaml", task="semantic")
shape = [int(side) for side in size.split("x")]
for result in model.predict(source, stream=True, imgsz=shape, device="cpu", verbose=False):
    mask = result.semantic_mask.data.cpu().numpy().astype(np.uint8)
    cv2.imwrite(os.path.join(out, os.path.basename(result.path)[:-4] + ".png"), mask)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("speed", "memory", "kills"))
    parser.add_argument("--camvid", type=Path, default=HERE.parents[1] / "shared" / "data" / "camvid")
    parser.add_argument("--ultralytics-python", type=Path, help="an interpreter that has ultralytics")
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    found: dict[str, Any] = json.loads(words.json.read_text()) if words.only and words.json.exists() else {}
    found |= {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if words.only in (None, "speed"):
            found["speed"] = speed(root, words)
        if words.only in (None, "memory", "kills"):
            small = small_images(root / "small", words.many)
            tiny_network(root / "tiny.onnx")
            if words.only in (None, "memory"):
                found["memory"] = memory(root, small, words.many)
            if words.only in (None, "kills"):
                found["kills"] = kills(root, small, words.many)
    broken = verdicts(found)
    found["broken"] = broken
    write_json(words.json, found)
    print(json.dumps({key: value for key, value in found.items() if key != "machine"}, indent=1))
    return 3 if broken else 0


def verdicts(found: dict[str, Any]) -> list[str]:
    broken = []
    if "speed" in found:
        broken += ["speed"] * (found["speed"]["times_the_loop"]["full"] < LIMITS["speed"])
        broken += ["ultralytics"] * (found["speed"].get("times_ultralytics", LIMITS["ultralytics"]) < LIMITS["ultralytics"])
        broken += ["scaled_agreement"] * (found["speed"]["agreement"]["scaled"] < LIMITS["scaled_agreement"])
    if "memory" in found:
        broken += ["memory"] * (found["memory"]["ratio"] > LIMITS["memory"])
    if "kills" in found:
        broken += ["resume_s"] * (found["kills"]["resume_s"] * 100_000 / found["kills"]["images"] > LIMITS["resume_s"])
        broken += ["kills"] * (not found["kills"]["complete"])
    return broken


def jpegs(folder: Path, count: int, camvid: Path) -> str:
    """Writes 1280x720 JPEGs, and says what they show."""
    folder.mkdir()
    paths = sorted((camvid / "images" / "val").glob("*.jpg"))
    golden = [path for path in sorted((shipped(DEFAULT) / GOLDEN_DIR).glob("frame*.png")) if path.name.count(".") == 1]
    for number in range(count):
        turn, place = divmod(number, len(paths or golden))
        image = cv2.resize(cv2.imread(str((paths or golden)[place])), (1280, 720), interpolation=cv2.INTER_CUBIC)
        if turn % 2:
            image = cv2.flip(image, 1)
        image = cv2.convertScaleAbs(image, alpha=1 - 0.1 * (turn // 2 % 4))
        cv2.imwrite(str(folder / f"{number:05}.jpg"), image)
    return "CamVid, val split" if paths else "the model's golden frames"


def speed(root: Path, words: argparse.Namespace) -> dict[str, Any]:
    """Images a second, start included, in turns; every other round the other way round."""
    count, rounds, ultralytics = words.images, words.rounds, words.ultralytics_python
    source = root / "jpeg"
    scenes = jpegs(source, count, words.camvid)
    model = str(shipped(DEFAULT) / "model.int8.onnx")
    predict = [sys.executable, "-m", "seg_edge.cli", "predict", model, str(source), "--format", "mask", "--out"]
    sides = {
        "loop": [sys.executable, "-c", LOOP, str(source), str(root / "loop"), model],
        "full": [*predict, str(root / "full"), "--decode", "full"],
        "scaled": [*predict, str(root / "scaled"), "--decode", "scaled"],
    }
    if ultralytics is not None:
        sides["ultralytics"] = [str(ultralytics), "-c", ULTRALYTICS, str(source), str(root / "ultralytics"), "352x480"]
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in list(sides) if turn % 2 == 0 else list(sides)[::-1]:
            seconds[name].append(timed(sides[name]))
            print(f"speed, round {turn + 1}: {name} {count / seconds[name][-1]:.1f} images/s", flush=True)
    rates = {name: round(count / median(values), 2) for name, values in seconds.items()}
    folders = {"loop": root / "loop", "full": root / "full" / "masks", "scaled": root / "scaled" / "masks"}
    names = sorted(path.name for path in folders["full"].iterdir())[:: max(count // 40, 1)]
    same = {side: float(np.mean([agreement(folders["full"] / n, folders[side] / n) for n in names])) for side in folders}
    peer = {"times_ultralytics": round(rates["full"] / rates["ultralytics"], 2)} if ultralytics is not None else {}
    return {
        **peer,
        "images": count,
        "scenes": scenes,
        "codecs": [name for name in ("simplejpeg", "isal") if find_spec(name) is not None],
        "seconds": seconds,
        "images_per_s": rates,
        "times_the_loop": {name: round(rates[name] / rates["loop"], 2) for name in ("full", "scaled")},
        "agreement": {side: round(value, 5) for side, value in same.items()},
    }


def agreement(a: Path, b: Path) -> float:
    """Share of equal pixels of two masks."""
    first, second = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (a, b))
    return float((first == second).mean())


def timed(command: Sequence[str]) -> float:
    """Runs a process to its end: its wall-clock seconds."""
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return time.perf_counter() - begun


def costs(command: Sequence[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds of a process: medians of three."""
    wall, spent = [], []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(timed(command))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(wall), median(spent)


def small_images(folder: Path, count: int) -> Path:
    """Small PNGs in sub-folders of a thousand, all of one content."""
    data = cv2.imencode(".png", np.full((24, 32, 3), 90, np.uint8))[1].tobytes()
    for number in range(count):
        file = folder / f"{number // 1000:04}" / f"{number % 1000:03}.png"
        if number % 1000 == 0:
            file.parent.mkdir(parents=True)
        file.write_bytes(data)
    return folder


def tiny_network(path: Path) -> None:
    """The tests' network of one pooling: what is measured is everything else."""
    spec = spec_from_file_location("conftest", HERE.parent / "tests" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module._tiny_onnx(path)


def command(source: Path, out: Path, *more: str) -> list[str]:
    words = ["predict", str(out.parent / "tiny.onnx"), str(source), "--out", str(out), "--format", "mask", *more]
    return [sys.executable, "-m", "seg_edge.cli", *words]


def memory(root: Path, small: Path, many: int) -> dict[str, Any]:
    """Peak resident memory for the first thousand, and for all."""
    peaks = {}
    for name, source in (("1000", small / "0000"), ("many", small)):
        process = subprocess.Popen(command(source, root / f"memory-{name}"), stdout=subprocess.DEVNULL)
        _pid, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"memory: status {status}")
        peaks[name] = usage.ru_maxrss / 1024
    return {"images": many, "peak_mib": peaks, "ratio": round(peaks["many"] / peaks["1000"], 3)}


def kills(root: Path, small: Path, many: int) -> dict[str, Any]:
    """Signal 9 at random moments; then everything is there once, and resuming costs little."""
    out = root / "kills"
    drawn = random.Random(0)
    for kill in range(KILLS):
        process = subprocess.Popen(command(small, out, "--resume"), stdout=subprocess.DEVNULL)
        time.sleep(drawn.uniform(2, 8))
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(f"kills: {kill + 1} of {KILLS}", flush=True)
    timed(command(small, out, "--resume"))
    masks = sum(1 for _ in (out / "masks").rglob("*.png"))
    partial = sum(1 for _ in (out / "masks").rglob(".*"))
    rows = [json.loads(line)["input"] for line in (out / "manifest.jsonl").read_text().splitlines()]
    whole = all(cv2.imread(str(path), -1) is not None for path in list((out / "masks").rglob("*.png"))[::97])
    single = root / "single"
    one, one_cpu = costs(command(small / "0000" / "000.png", single))
    again, again_cpu = costs(command(small, out, "--resume"))
    return {
        "images": many,
        "kills": KILLS,
        "complete": masks == many and len(rows) == len(set(rows)) == many and not partial and whole,
        "resume_s": round(again - one, 3),
        "resume_cpu_s": round(again_cpu - one_cpu, 3),
    }


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
