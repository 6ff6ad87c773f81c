"""The pictures of README and docs that our own commands draw: ``python benchmarks/pictures.py`` writes ``docs/images``.

``street.jpg``: a generated street beside its overlay, by the network that the tests use (trained on generated streets).
``pareto.png``: accuracy against speed on CamVid, of the records ``end_to_end.json`` and ``pruned.json``.
``breakdown.png``: where the time of a frame goes, of the same records.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "tests" / "data" / "street.int8.onnx"
#: Seed of the street, frame of its film, and size.
SEED, FRAME, SIZE_HW = 42, 0, (360, 480)


def street() -> np.ndarray:
    """uint8 (H, 2 W, 3): the frame, and the frame with its overlay."""
    from seg_edge import Segmenter
    from seg_edge.datasets.synth import StreetScene

    frame, _ = StreetScene(SEED, SIZE_HW).frame(FRAME)
    with Segmenter(MODEL, contours=True) as segmenter:
        return np.hstack([frame, segmenter.overlay(frame)])


def measured(threads: int = 2) -> dict[str, Any]:
    """The recorded rows of one machine as one report: unet-s and the pruned network that is shipped, CamVid's val split."""
    records = Path(__file__).parent / "results"
    whole = json.loads((records / "end_to_end.json").read_text(encoding="utf-8"))
    small = json.loads((records / "pruned.json").read_text(encoding="utf-8"))
    machines = [record["machine"]["cpu"] for record in (whole, small)]
    if machines[0] != machines[1]:
        sys.exit(f"pictures: the records are of two machines, {' and '.join(machines)}; run both benchmarks on one")
    rows = [row for row in whole["rows"] if row["threads"] == threads]
    for row in small["rows"]:
        if row["threads"] == threads and row["precision"] == "int8":
            rows.append({**row, "model": "unet-s-camvid"})
    return {**whole, "rows": rows}


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    out = words.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / "street.jpg"), street(), [cv2.IMWRITE_JPEG_QUALITY, 88])
    from seg_edge.measure.report.plots import images

    drawn, reasons = images(measured())
    for line in reasons:
        sys.exit(f"pictures: {line}")
    for name, png in drawn.items():
        (out / f"{name}.png").write_bytes(png)
    print(f"wrote {out}: street.jpg, {', '.join(f'{name}.png' for name in drawn)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
