"""What the converters' tests share: small images, and a conversion with its masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets import ConvertOptions, convert

SIZE = (6, 8)


class Bench:
    """Writes images and converts datasets below a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "in"
        self.out = folder / "out"
        self.done = None
        self._runs = 0

    def image(self, name: str, size_hw: tuple[int, int] = SIZE) -> Path:
        """An image of noise below the source's folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8))
        return path

    def text(self, name: str, content: str) -> Path:
        """A text file below the source's folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def run(self, kind: str, source: Path | None = None, **words) -> dict[str, np.ndarray]:
        """Converts and returns the masks: ``"split/name"`` → uint8 (H, W); the report is in ``done``."""
        self._runs += 1
        target = self.out / str(self._runs)
        self.done = convert(source or self.root, target, ConvertOptions(format=kind, **words))
        files = sorted(target.glob("labels/*/*.png"))
        return {f"{p.parent.name}/{p.stem}": cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in files}

    def refused(self, kind: str, source: Path | None = None, **words) -> str:
        """The one line of a conversion that must fail."""
        with pytest.raises(DataError) as caught:
            self.run(kind, source, **words)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)
