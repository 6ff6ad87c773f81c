"""Writes YOLO segments: a text file for each image, a line for each connected part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .base import BACKGROUND, Mask, MaskWriter, Part
from .outlines import outline


class YoloWriter(MaskWriter):
    """Writes a folder: ``labels`` beside the ``images`` that lie there or will, and ``data.yaml``.

    Images are named by their path below ``images``, such as ``train/0001.png``. Classes are numbered without gaps: where the
    background is the first class, the others move up by one.
    """

    def document(self, image: str, mask: Mask) -> str:
        """The file of one image, as text. Arguments and errors are those of :meth:`add`."""
        return self._document(mask, list(self._parts(image, mask)))

    def summary(self) -> str:
        """The content of ``data.yaml``, after all images."""
        names = [*self._numbers(), *([self.void] if self.has_void else [])]
        splits = sorted({Path(image).parts[0] for image in self._names if len(Path(image).parts) > 1})
        lines = [f"{name}: images/{name}" for name in splits if name in ("train", "val", "test")]
        # JSON's lists and strings are YAML's too.
        lines.append(f"names: {json.dumps(names, ensure_ascii=False)}")
        return "\n".join(lines) + "\n"

    def _add(self, image: str, mask: Mask, parts: Sequence[Part]) -> None:
        file = self.target / "labels" / Path(image).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._document(mask, parts), encoding="utf-8")

    def _document(self, mask: Mask, parts: Sequence[Part]) -> str:
        height, width = mask.shape
        lines = []
        for part in parts:
            points = (outline(part.pixels) + (part.x, part.y)) / (width, height)
            numbers = self._numbers()
            number = numbers[part.name] if part.name in numbers else len(numbers)
            lines.append(" ".join([str(number), *(f"{value:.10g}" for value in points.ravel().tolist())]))
        return "".join(f"{line}\n" for line in lines)

    def close(self) -> None:
        """Writes ``data.yaml``."""
        self.target.mkdir(parents=True, exist_ok=True)
        (self.target / "data.yaml").write_text(self.summary(), encoding="utf-8")

    def _numbers(self) -> dict[str, int]:
        names = self.labels.names[1:] if self.labels.names[0] == BACKGROUND else self.labels.names
        return {name: number for number, name in enumerate(names)}
