#!/usr/bin/env bash
# albumentations.Resize of an image together with its mask, to a quarter of the size.
# guess: both are sampled at the same places; seen: each new pixel of the image shows what lies around its centre, the
# mask takes the upper left source pixel: labels lie 1.5 source pixels off, 0.5 with INTER_NEAREST_EXACT.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile albumentations==2.0.8 opencv-python-headless==4.14.0.94 numpy==2.4.6

"$dir/venv/bin/python" <<'PY'
import os
import sys

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations
import cv2
import numpy as np

columns = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))  # every pixel says in which column it lies, times 4
seen = {}
for name in ("INTER_NEAREST", "INTER_NEAREST_EXACT"):
    resize = albumentations.Resize(16, 16, mask_interpolation=getattr(cv2, name))
    small = resize(image=np.dstack([columns] * 3), mask=columns)
    image, mask = small["image"][0, :, 0] / 4, small["mask"][0] / 4
    seen[name] = float((image - mask).mean())
    print(f"mask by {name}: image {image[4:8]}, mask {mask[4:8]}, {seen[name]} source pixels apart")
default = albumentations.Resize(16, 16).mask_interpolation == cv2.INTER_NEAREST
print("albumentations", albumentations.__version__, "opencv", cv2.__version__, "INTER_NEAREST is the default:", default)
right = default and seen == {"INTER_NEAREST": 1.5, "INTER_NEAREST_EXACT": -0.5}
sys.exit(0 if right else "the behaviour changed")
PY
