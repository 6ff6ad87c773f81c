"""The ultralytics side of peers.py: a process of its own, because ultralytics brings requirements that need not be ours.

    python ultralytics_side.py --video FILE --imgsz 352x480 --classes 11 --threads 2 [--model yolo26n-sem.yaml]

It says on standard output what it is (one line of JSON). Then each line ``RECT SECONDS`` on standard input (RECT: 0 pads
every frame to the size that was asked for, 1 is the package's default, the smallest padding) is answered with {frames,
seconds}: the overlays that predict and plot made of the video's frames, and the seconds from the first one to the last.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

# Neither a look for updates nor a report about this run: a measurement talks to nobody.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp(prefix="ultralytics-"))


def open_model(name: str, classes: int) -> tuple[Any, str]:
    """The model, and what its weights are. A YAML file is built with as many classes as ours has, untrained."""
    import yaml
    from ultralytics import YOLO

    if not name.endswith((".yaml", ".yml")):
        return YOLO(name), f"weights of {Path(name).name}"
    from ultralytics.nn.tasks import yaml_model_load

    found = yaml_model_load(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name  # the letter of its size is read from the file's name
        path.write_text(yaml.safe_dump({**found, "nc": classes}), encoding="utf-8")
        return YOLO(str(path), task="semantic"), f"untrained, built from {name} with {classes} classes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", required=True)
    parser.add_argument("--imgsz", required=True, help="HxW")
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--model", default="yolo26n-sem.yaml")
    words = parser.parse_args()
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # the package prints as it likes
        import cv2
        import torch
        import ultralytics

        model, weights = open_model(words.model, words.classes)
        size_hw = [int(side) for side in words.imgsz.split("x")]
        options = {"imgsz": size_hw, "device": "cpu", "verbose": False}
        capture = cv2.VideoCapture(words.video)
        ok, frame = capture.read()
        capture.release()
        if not ok:
            sys.exit(f"ultralytics_side: {words.video}: no frame can be read")
        inputs = {}
        for rect in (False, True):
            model.predict(frame, rect=rect, **options)[0].plot()
            padded = model.predictor.pre_transform([frame])[0]
            inputs[f"rect={rect}"] = list(padded.shape[:2])
        # Last: importing the package changes OpenCV's number, opening a model torch's (to one less than there are CPUs).
        torch.set_num_threads(words.threads)
        cv2.setNumThreads(words.threads)

        def block(rect: bool, seconds: float) -> dict[str, float]:
            """Overlays of the video's first frames, until the time is up or the video is over."""
            first = now = 0.0
            count = 0
            for result in model.predict(words.video, stream=True, rect=rect, **options):
                overlay = result.plot()
                now = perf_counter()
                assert overlay.shape == frame.shape
                first = first or now
                count += 1
                if now - first >= seconds:
                    break
            assert torch.get_num_threads() == words.threads, "the package has changed torch's number of threads"
            return {"frames": count, "seconds": now - first}

    about = {
        "ultralytics": ultralytics.__version__, "torch": torch.__version__, "model": Path(words.model).stem,
        "weights": weights,
        "params": sum(p.numel() for p in model.model.parameters()), "threads": torch.get_num_threads(),
        "opencv_threads": cv2.getNumThreads(), "input_hw": inputs,
    }  # fmt: skip
    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        rect, seconds = line.split()
        with contextlib.redirect_stdout(sys.stderr):
            done = block(rect == "1", float(seconds))
        print(json.dumps(done), file=answers, flush=True)


if __name__ == "__main__":
    main()
