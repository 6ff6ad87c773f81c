"""A sink for folders of images: masks and overlays, one file per frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.artefact import atomic_path
from ...core.errors import InputError, SinkError
from ...datasets.dataset import write_labels
from .base import Frame, Run, Sink

if TYPE_CHECKING:
    from ..frame.result import Result


class ImageFolderSink(Sink):
    """Writes ``masks/NAME.png`` (class numbers, one 8-bit channel), ``overlays/NAME.jpg`` and ``classes.json``.

    Args:
        path: The folder; created at the start of the run.
        masks, overlays: Whether to write masks and overlays.
    """

    def __init__(self, path: str | Path, masks: bool = True, overlays: bool = True) -> None:
        super().__init__(str(path))
        self.mask, self.overlay = masks, overlays
        self.about = "masks as PNG, overlays as JPEG"
        self._path = Path(path)
        self._count = 0
        if self._path.exists() and not self._path.is_dir():
            raise SinkError(f"sink {path}: this is a file; expected a folder's name")

    def start(self, run: Run) -> None:
        try:
            write_labels(self._path, run.labels)
        except (OSError, InputError) as error:
            raise SinkError(f"sink {self.text}: can't be written ({error}); choose another folder") from error

    def take(self, result: Result) -> None:
        name = result.name or f"frame_{self._count:06d}"
        if self.mask and result.mask is not None:
            self._write("masks", f"{name}.png", result.mask)
        if self.overlay and result.overlay_bgr is not None:
            self._write("overlays", f"{name}.jpg", result.overlay_bgr)
        self._count += 1

    def write(self, frame_bgr: Frame) -> None:
        self._write("overlays", f"frame_{self._count:06d}.jpg", frame_bgr)
        self._count += 1

    def _write(self, folder: str, name: str, image: npt.NDArray[Any]) -> None:
        done, data = cv2.imencode(Path(name).suffix, image)
        if not done:
            raise SinkError(f"sink {self.text}: {name} can't be encoded")
        try:
            with atomic_path(self._path / folder / name) as temporary:
                temporary.write_bytes(np.asarray(data).data)
        except (OSError, InputError) as error:
            raise SinkError(f"sink {error}") from error
