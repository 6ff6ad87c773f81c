"""The pictures of README and docs that our own commands draw: ``python benchmarks/pictures.py`` writes ``docs/images``.

``street.jpg``: a generated street beside its overlay, by the network that the tests use (trained on generated streets).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    out = words.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / "street.jpg"), street(), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"wrote {out / 'street.jpg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
