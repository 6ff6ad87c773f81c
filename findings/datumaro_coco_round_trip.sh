#!/usr/bin/env bash
# COCO masks through Datumaro's import and export with default settings: COCO in, COCO out.
# guess: the same pixels come back; seen: RLE masks (iscrowd 0) become polygons: a hole is filled, parts lose a row and
# a column each, an object one pixel wide comes back with no outline, and category 90 is now category 2.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q datumaro==1.13.12 pycocotools==2.0.11 opencv-python-headless==4.14.0.94

"$dir/venv/bin/python" - "$dir" <<'PY'
import json
import pathlib
import sys

import cv2
import datumaro
import numpy as np
from pycocotools import mask as rle

room = pathlib.Path(sys.argv[1])
ring, parts, line = np.zeros((3, 40, 60), np.uint8)
ring[5:30, 5:30], ring[12:20, 12:20] = 1, 0
parts[2:8, 40:48] = parts[20:30, 40:55] = 1
line[35, 5:50] = 1
annotations = []
for number, mask in enumerate((ring, parts, line), 1):
    code = rle.encode(np.asfortranarray(mask))
    annotations.append(
        {
            "id": number,
            "image_id": 1,
            "category_id": 90,
            "iscrowd": 0,
            "area": int(mask.sum()),
            "bbox": rle.toBbox(code).tolist(),
            "segmentation": {"size": code["size"], "counts": code["counts"].decode()},
        }
    )
for folder in ("annotations", "images/val"):
    (room / "in" / folder).mkdir(parents=True)
cv2.imwrite(str(room / "in/images/val/a.png"), np.zeros((40, 60, 3), np.uint8))
images = [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}]
categories = [{"id": 3, "name": "car"}, {"id": 90, "name": "brush"}]
document = {"images": images, "annotations": annotations, "categories": categories}
(room / "in/annotations/instances_val.json").write_text(json.dumps(document))

datumaro.Dataset.import_from(str(room / "in"), "coco_instances").export(str(room / "out"), "coco_instances")
back = json.loads((room / "out/annotations/instances_val.json").read_text())
print("datumaro", datumaro.__version__)
seen = []
for before, after in zip(annotations, sorted(back["annotations"], key=lambda a: a["id"])):
    outline = after["segmentation"]
    pixels = int(rle.area(rle.merge(rle.frPyObjects(outline, 40, 60)))) if outline else 0
    seen.append((before["area"], pixels, after["category_id"]))
    print(f"{before['area']} pixels of category 90 came back as {pixels} of category {after['category_id']}")
sys.exit(0 if seen == [(561, 576, 2), (198, 161, 2), (45, 0, 2)] else "the behaviour changed")
PY
