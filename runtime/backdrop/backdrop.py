"""The background of an overlay: which classes stay, and what is painted behind them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import InputError, UnknownNameError
from ...core.labels import Labels
from ...core.spec import ModelSpec
from ...datasets.imagefiles.pixels import read_image
from ..frame import kernels
from ..frame.colours import Image
from ..frame.fit import frame_window
from .kernel import STEEP, put_before

Pixels = npt.NDArray[np.uint8]
#: Words for backgrounds that are no file.
BLUR, NONE = "blur", "none"
#: A lead of this many logits, of the classes that stay over the others, is the whole range of the kernel's ``front``. With
#: :data:`.kernel.STEEP` the border is where the lead is between -1 and 1.
_SPAN = 8.0
#: Rows of the image that is blurred, and the blur's standard deviation there: 3 % of the frame's height.
_BLUR_ROWS, _BLUR_SIGMA = 96, 2.9


@dataclass(frozen=True)
class Backdrop:
    """What is painted behind the classes that stay.

    Attributes:
        kept: Numbers of the classes that stay.
        image: uint8 (H, W, 3), BGR: the background; None blurs the frame itself.
    """

    kept: tuple[int, ...]
    image: Pixels | None = None
    # Size of the frame → the image, cut to its proportions and shrunk to it. One entry.
    _fitted: dict[tuple[int, int], Pixels] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def make(cls, labels: Labels, background: str | Path | None, classes: Iterable[str] | None = None) -> Backdrop | None:
        """Makes a backdrop from names.

        Args:
            labels: The classes of the model.
            background: ``"blur"``, an image file, or ``"none"`` or None for no backdrop.
            classes: Names of the classes that stay; None is all but the first.

        Raises:
            UnknownNameError: the model has no class of that name.
            InputError: all classes stay, none does, or the file is missing.
            DataError: the file is no image.
        """
        if background is None or str(background) == NONE:
            return None
        names = list(labels.names[1:]) if classes is None else list(classes)
        for name in names:
            if name not in labels.names:
                raise UnknownNameError("class", name, labels.names)
        if not names or len(set(names)) == len(labels):
            stay = "all classes stay" if names else "no class stays"
            raise InputError(f"`background`: {stay}; name those that do in `classes`: some of {', '.join(labels.names)}")
        kept = tuple(labels.names.index(name) for name in names)
        if str(background) == BLUR:
            return cls(kept)
        if not Path(background).is_file():
            raise InputError(f"`background`: {background}: no such file; expected an image file, {BLUR!r} or {NONE!r}")
        return cls(kept, read_image(background))

    def front(self, output: npt.NDArray[Any], spec: ModelSpec, size_hw: tuple[int, int]) -> tuple[Pixels, int]:
        """What stays, for :func:`.kernel.put_before`, and how steep it is.

        Args:
            output: float32 (C, h, w) logits or uint8 (H, W) labels, depending on the spec.
            spec: Of the network.
            size_hw: Of the frame.
        """
        window = frame_window(spec, size_hw)
        if spec.output == "labels":
            stays = np.where(np.isin(output, self.kept), np.uint8(255), np.uint8(0))
            return np.ascontiguousarray(stays if window is None else stays[window.slices]), 2
        others = [number for number in range(output.shape[0]) if number not in self.kept]
        lead = output[list(self.kept)].max(axis=0) - output[others].max(axis=0)
        lead = np.nan_to_num(lead, nan=-2 * _SPAN)
        stays = np.clip(lead * (127 / _SPAN) + 128.5, 0, 255).astype(np.uint8)
        if window is not None:
            whole = cv2.resize(stays, (window.of_width, window.of_height), interpolation=cv2.INTER_LINEAR)
            stays = np.ascontiguousarray(whole[window.slices], np.uint8)
        return stays, STEEP

    def paint(
        self, frame: Image, front: tuple[Pixels, int], about: dict[str, Any], out: Pixels | None, threads: int | None
    ) -> Pixels:
        """The frame with another background, uint8 (H, W, 3).

        Args:
            frame: See :class:`seg_edge.runtime.Segmenter`.
            front: From :meth:`front`.
            about: The frame's ``pixel_format`` and ``colours``.
            out: Output array; None allocates.
            threads: Of the kernels.
        """
        stays, steep = front
        if self.image is None:
            ground = self._blurred(frame, stays, steep, about, threads)
        else:
            ground = self._image(self.image, kernels.frame_hw(frame, about["pixel_format"]))
        return put_before(frame, stays, ground, out, steep=steep, threads=threads, **about)

    def _blurred(self, frame: Image, stays: Pixels, steep: int, about: dict[str, Any], threads: int | None) -> Pixels:
        """The frame, small and blurred, without the colours of what stays: they would shine around it."""
        height, width = kernels.frame_hw(frame, about["pixel_format"])
        rows = min(height, _BLUR_ROWS)
        columns = min(width, max(1, round(rows * width / height)))
        small = kernels.resize(frame, (rows, columns), threads=threads, **about)
        weight = cv2.resize(stays, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        weight = np.clip((128 - weight) * steep + 128, 0, 256)[..., None] + 0.25
        shares = np.concatenate((small * weight, weight), axis=2)
        shares = cv2.GaussianBlur(shares, (0, 0), _BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(shares[..., :3] / shares[..., 3:] + 0.5, np.uint8)

    def _image(self, image: Pixels, size_hw: tuple[int, int]) -> Pixels:
        """The middle of the image in the frame's proportions, shrunk to its size if larger."""
        if size_hw not in self._fitted:
            height, width = image.shape[:2]
            rows, columns = min(height, round(width * size_hw[0] / size_hw[1])), width
            if rows == height:
                columns = min(width, round(height * size_hw[1] / size_hw[0]))
            top, left = (height - max(1, rows)) // 2, (width - max(1, columns)) // 2
            part = image[top : top + max(1, rows), left : left + max(1, columns)]
            larger = part.shape[0] > size_hw[0] and part.shape[1] > size_hw[1]
            self._fitted.clear()
            self._fitted[size_hw] = kernels.resize(part, size_hw) if larger else np.ascontiguousarray(part)
        return self._fitted[size_hw]
