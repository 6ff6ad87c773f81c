#!/usr/bin/env bash
# Datumaro's COCO export with segmentation_mode="mask", read by pycocotools.
# guess: single objects are stored as RLE masks with iscrowd 0; seen: every one is marked iscrowd 1, so COCOeval ignores
# the objects (AP -1 for a perfect answer) and trainers drop them as crowds.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q datumaro==1.13.12 pycocotools==2.0.11 opencv-python-headless==4.14.0.94

"$dir/venv/bin/python" - "$dir" <<'PY'
import contextlib
import io
import sys

import datumaro
import numpy as np
from datumaro.components.annotation import Mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

car = np.zeros((40, 60), bool)
car[5:30, 5:30] = True
item = datumaro.DatasetItem(
    "street",
    subset="val",
    media=datumaro.Image.from_numpy(np.zeros((40, 60, 3), np.uint8)),
    annotations=[Mask(car, label=0, id=1, group=1, attributes={"is_crowd": False})],
)
dataset = datumaro.Dataset.from_iterable([item], categories=["car"])


def export(mode: str) -> tuple[int, float]:
    """`iscrowd` of the exported car, and the average precision of an answer that equals it."""
    dataset.export(f"{sys.argv[1]}/{mode}", "coco_instances", segmentation_mode=mode)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(f"{sys.argv[1]}/{mode}/annotations/instances_val.json")
        (car,) = truth.dataset["annotations"]
        answer = {"image_id": car["image_id"], "category_id": 1, "segmentation": truth.annToRLE(car), "score": 0.9}
        evaluation = COCOeval(truth, truth.loadRes([answer]), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return car["iscrowd"], round(float(evaluation.stats[0]), 3)


seen = {mode: export(mode) for mode in ("polygons", "mask")}
print("datumaro", datumaro.__version__)
for mode, (crowd, precision) in seen.items():
    print(f"segmentation_mode={mode}: iscrowd {crowd}, average precision of a perfect answer {precision}")
sys.exit(0 if seen == {"polygons": (0, 1.0), "mask": (1, -1.0)} else "the behaviour changed")
PY
