"""How many pixels of a mask change where the service decodes a JPEG at half or a quarter of its size.

python benchmarks/serve_scaled.py [--camvid ../shared/data/camvid]

CamVid's val split, enlarged twice and four times and saved as JPEG, through the shipped model. Exits with 3 below the limit.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_edge import Segmenter
from seg_edge.core.artefact import write_json
from seg_edge.core.shipped import DEFAULT
from seg_edge.runtime.machine.system import machine
from seg_edge.serve.work.imagefile import decode, open_image
from seg_edge.serve.work.model import ServedModel

RESULTS = Path(__file__).parent / "results" / "serve_scaled.json"
#: Least share of the pixels that keep their class.
LIMIT = 0.995
SIZES_HW, QUALITIES = ((720, 960), (1440, 1920)), (75, 90)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camvid", type=Path, default=Path("../shared/data/camvid"))
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    paths = sorted((words.camvid / "images" / "val").glob("*.jpg"))[:: words.every]
    if not paths:
        parser.error(f"{words.camvid} has no images/val/*.jpg")
    with Segmenter(DEFAULT) as segmenter:
        segmenter.warmup()
        model = ServedModel("here", segmenter)
        rows = [row(model, paths, size_hw, quality) for size_hw in SIZES_HW for quality in QUALITIES]
        engine = f"{segmenter.engine.name} {segmenter.engine.version}"
    record = {"machine": machine(), "model": DEFAULT, "engine": engine, "images": len(paths), "limit": LIMIT, "rows": rows}
    write_json(words.json, record)
    for each in rows:
        print(each)
    return 0 if min(each["mean"] for each in rows) >= LIMIT else 3


def row(model: ServedModel, paths: list[Path], size_hw: tuple[int, int], quality: int) -> dict[str, Any]:
    shares, scale = [], 1
    for path in paths:
        image = cv2.resize(cv2.imread(str(path)), size_hw[::-1], interpolation=cv2.INTER_CUBIC)
        data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes()
        masks = []
        for scaled in (False, True):
            about = open_image(data, 10**8)
            frame, scale = decode(data, about, model.spec.input_hw, scaled)
            masks.append(model.segment(frame, size_hw).mask)
        assert scale > 1
        shares.append(float((masks[0] == masks[1]).mean()))
    about_row = {"size_hw": list(size_hw), "quality": quality, "scale": scale}
    return {**about_row, "mean": float(np.mean(shares)), "lowest": float(np.min(shares))}


if __name__ == "__main__":
    sys.exit(main())
