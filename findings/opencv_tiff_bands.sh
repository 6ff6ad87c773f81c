#!/usr/bin/env bash
# cv2.imdecode of TIFF files: grey with three bands more, and one band of 32-bit floats, as thermal cameras write.
# guess: bands that can't be decoded are an error, and IMREAD_COLOR reads what IMREAD_UNCHANGED reads; seen: the three
# bands are dropped without a word by both, and IMREAD_COLOR | IMREAD_ANYDEPTH gives None for the floats.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile tifffile==2025.5.10 opencv-python-headless==4.14.0.94 numpy==2.2.6

"$dir/venv/bin/python" <<'PY'
import io
import sys

import cv2
import numpy as np
import tifffile


def shapes(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    data = np.frombuffer(file.getvalue(), np.uint8)
    flags = {"COLOR|ANYDEPTH": cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, "UNCHANGED": cv2.IMREAD_UNCHANGED}
    images = {name: cv2.imdecode(data, flag) for name, flag in flags.items()}
    return {name: None if image is None else (str(image.dtype), image.shape) for name, image in images.items()}


bands = shapes(np.arange(96, dtype=np.uint8).reshape(4, 6, 4), photometric="minisblack", planarconfig="contig")
floats = shapes(np.linspace(290, 310, 24, dtype=np.float32).reshape(4, 6), photometric="minisblack")
print("opencv", cv2.__version__, "four bands:", bands, "floats:", floats)
right = (
    bands == {"COLOR|ANYDEPTH": ("uint8", (4, 6, 3)), "UNCHANGED": ("uint8", (4, 6))}
    and floats == {"COLOR|ANYDEPTH": None, "UNCHANGED": ("float32", (4, 6))}
)
sys.exit(0 if right else "the behaviour changed")
PY
