#!/usr/bin/env bash
# A mask of 15 x 10 pixels through supervision's COCO export and pycocotools.
# guess: 150 pixels come back; seen: supervision 0.31.2 writes the outline through the centres of the border pixels, and
# every reader that fills polygons gets a mask that is half a pixel smaller on each side: 126 pixels.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q supervision==0.31.2 pycocotools==2.0.11 opencv-python-headless==5.0.0.93

"$dir/venv/bin/python" - "$dir" <<'PY'
import sys
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from pycocotools.coco import COCO

root = Path(sys.argv[1])
(root / "images").mkdir()
path = str(root / "images" / "a.png")
cv2.imwrite(path, np.zeros((30, 40, 3), np.uint8))
mask = np.zeros((1, 30, 40), bool)
mask[0, 5:15, 10:25] = True
boxes = sv.mask_to_xyxy(mask)
detections = sv.Detections(xyxy=boxes, mask=mask, class_id=np.array([0]))
data = sv.DetectionDataset(classes=["thing"], images=[path], annotations={path: detections})
data.as_coco(annotations_path=str(root / "coco.json"))
coco = COCO(str(root / "coco.json"))
annotation = coco.loadAnns(coco.getAnnIds())[0]
back = int(coco.annToMask(annotation).sum())
print(f"supervision {sv.__version__}: {int(mask.sum())} pixels written, {back} come back")
sys.exit(0 if (int(mask.sum()), back) == (150, 126) else "the behaviour changed")
PY
