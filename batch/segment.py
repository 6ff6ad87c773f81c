"""Image bytes to results: what every worker does, here, in Ray, in Spark and in Dask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError, InputError, SegEdgeError
from ..core.labels import Labels
from ..core.shipped import DEFAULT
from ..datasets.imagefiles.decoding import decode, scale_for, sharpened
from ..datasets.imagefiles.header import read_header
from ..datasets.imagefiles.pixels import decode_image
from ..runtime.augmented import AugmentedSegmenter
from ..runtime.frame.confidence import Confidence
from ..runtime.frame.counting import count_mask
from ..runtime.frame.result import Frame, Mask
from ..runtime.segmenter import Segmenter
from ..runtime.shared import SharedSegmenter
from ..runtime.tiled import TiledSegmenter
from .formats import Format, formats_of
from .large import is_large, write_large
from .options import PredictOptions
from .store import Store

#: What reading one image may raise: it is the image's fault, and ends no run.
IMAGE_ERRORS = (DataError, OSError, ValueError, cv2.error)


class Worker:
    """Decodes, segments and encodes images; any number of threads may call it.

    Args:
        segmenter: Open; not closed.
        options: Formats, decoding.
        store: Where files that are too large for memory are written; None leaves such images undone.

    Raises:
        InputError: the segmenter was opened with another confidence than the options say.
    """

    def __init__(self, segmenter: Segmenter, options: PredictOptions, store: Store | None = None) -> None:
        wanted = Confidence.make(segmenter.labels, options.confidence, options.min_confidence, options.below)
        if wanted != segmenter.confidence:
            raise InputError(
                f"`confidence`: the open segmenter has {segmenter.confidence} where these options ask for {wanted}; open it "
                "with the same `confidence`, `min_confidence` and `below`"
            )
        self.labels = segmenter.labels
        self.formats: list[Format] = formats_of(options, self.labels)
        self._overlay = any(form.overlay for form in self.formats)
        self._scaled = options.decode == "scaled" and not self._overlay
        self._options, self._store = options, store
        self._shared = SharedSegmenter(segmenter)
        self._tiled = None if options.tile is None else TiledSegmenter(self._shared, options.tile, options.overlap)
        self._augmented = AugmentedSegmenter(self._shared, options.tta) if options.tta else None
        self._large = threading.Lock()  # their strips are larger than what is cut from them: one after the other
        self._input_hw = segmenter.spec.input_hw
        self._value_range = segmenter.spec.input_range

    def decoded(self, data: bytes, path: str) -> tuple[Frame, tuple[int, int]]:
        """Pixels of an image file, and the height and width of its mask.

        Raises:
            DataError: it can't be decoded.
        """
        if data[:3] == b"\xff\xd8\xff" and self._value_range is None:
            header = read_header(data, path)
            scale = scale_for(header, self._input_hw) if self._scaled else 1
            pixels = decode(data, header, scale, path)
            return (pixels if scale == 1 else sharpened(pixels, self._input_hw)), header.shown_hw
        frame = decode_image(data, path, self._value_range)
        return frame, frame.shape[:2]

    def row_of(
        self, row: dict[str, Any], read: Callable[[], bytes], frame: Frame | None = None, local: bool = False
    ) -> Done | None:
        """Does one image, and completes its line of the manifest.

        Args:
            row: With ``input``, ``name`` and ``file``; gets ``size``, ``shares`` and ``outputs``, or ``error``.
            read: Gives the content of the file.
            frame: Its pixels where they are decoded already.
            local: ``input`` is the path of a file on this machine.

        Returns:
            What is to be written; None where the image can't be read or segmented.

        Raises:
            EngineError: the engine failed.
        """
        try:
            done = self._large_done(row) if frame is None and local else None
            if done is not None:
                return done
            pixels, size_hw = self.decoded(read(), row["input"]) if frame is None else (frame, frame.shape[:2])
            done = self.segmented(pixels, size_hw, row["name"], row["file"])
        except IMAGE_ERRORS as error:
            reason = str(error) if isinstance(error, SegEdgeError) else f"{row['input']}: can't be read ({error})"
            row["error"] = " ".join(reason.split())
            return None
        row |= {"size": list(size_hw), "shares": done.shares, "outputs": {form: at for form, at, _ in done.files}}
        return done

    def _large_done(self, row: dict[str, Any]) -> Done | None:
        """Does an image that is read and written in strips, and completes its row; None if it is no such image."""
        path = row["input"]
        if self._tiled is None or self._store is None or not is_large(path):
            return None
        with self._large:
            size_hw, counts, outputs = write_large(self._tiled, path, row["name"], self._options, self.labels, self._store)
        row |= {"size": list(size_hw), "shares": _shares(counts, self.labels), "outputs": outputs}
        return Done(None, row["shares"], (), {})

    def segmented(self, frame: Frame, size_hw: tuple[int, int], name: str, path: str) -> Done:
        """Everything that is written for one image.

        Raises:
            EngineError: the engine failed.
        """
        if self._tiled is not None:
            result = self._tiled.segment(frame, overlay=self._overlay, name=name)
        elif self._augmented is not None:
            result = self._augmented.segment(frame, size_hw, overlay=self._overlay, name=name)
        else:
            result = self._shared.segment(frame, size_hw, overlay=self._overlay, name=name)
        mask = result.mask
        assert mask is not None
        files = []
        for form in self.formats:
            file = form.path(name)
            if file is not None:
                files.append((form.name, file, form.encode(path, result)))
        entries = {form.name: form.entry(name, path, mask) for form in self.formats if form.journalled}
        return Done(mask, shares(mask, self.labels), files, entries)


class Done:
    """The results of one image.

    Attributes:
        mask: uint8 (H, W); None of an image that was written in strips.
        shares: Class → share of the pixels, 0 to 1; classes that don't occur are left out.
        files: (format, path below the output folder, content).
        entries: Format → what its journal keeps.
    """

    def __init__(
        self,
        mask: Mask | None,
        shares: dict[str, float],
        files: Sequence[tuple[str, str, bytes]],
        entries: Mapping[str, dict[str, Any]],
    ) -> None:
        self.mask, self.shares, self.files, self.entries = mask, shares, files, entries


def shares(mask: Mask, labels: Labels) -> dict[str, float]:
    """The share of the pixels of each class that occurs, 0 to 1.

    >>> shares(np.array([[0, 0, 0, 1]], np.uint8), Labels.numbered(3))
    {'class0': 0.75, 'class1': 0.25}
    """
    return _shares(count_mask(mask, np.zeros((1, 256), np.uint64), threads=1)[0], labels)


def _shares(counts: npt.NDArray[Any], labels: Labels) -> dict[str, float]:
    total = float(counts.sum(dtype=np.float64))
    return {name: round(float(counts[k]) / total, 6) for k, name in enumerate(labels.names) if counts[k]}


class Segment:
    """A function from batches of image files to batches of results, for Ray Data, Spark and Dask.

    The model is opened at the first call, once for each process. A batch is a dictionary of equally long arrays: ``bytes``
    (content of the files) and ``path``. To it are added ``png`` (mask as PNG), ``height``, ``width``, ``shares`` (JSON),
    ``milliseconds`` and ``error`` (empty where all went well). An image that can't be decoded gives an error, and ends
    nothing.

    >>> done = Segment()({"path": ["street.png"], "bytes": [Path("street.png").read_bytes()]})
    >>> done["error"], done["height"]
    ([''], [64])

    Args:
        model: An exported ONNX file, an artefact folder or a shipped model's name.
        engine: Name of an engine, or ``"auto"``.
        threads: CPU threads of the engine; None is every core.
        options: How images are decoded and which formats are encoded. The first format with a file for each image is
            what ``png`` holds; default: masks.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        engine: str = "auto",
        threads: int | None = None,
        options: PredictOptions | None = None,
    ) -> None:
        self._model, self._engine, self._threads = str(model), engine, threads
        self._options = options or PredictOptions(formats=("mask",))
        self._worker: Worker | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_worker": None}  # an open engine can't travel to another process

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Results of a batch, see the class.

        Raises:
            ModelFileError, EngineError: the model can't be opened; the engine failed.
        """
        import json

        if self._worker is None:
            words = self._options.segmenting
            segmenter = Segmenter(self._model, self._engine, self._threads, throughput=True, **words)
            self._worker = Worker(segmenter, self._options)
        columns: dict[str, list[Any]] = {k: [] for k in ("png", "height", "width", "shares", "milliseconds", "error")}
        for path, data in zip(batch["path"], batch["bytes"], strict=True):
            begun = perf_counter()
            row: dict[str, Any] = {"png": b"", "height": 0, "width": 0, "shares": "{}", "error": ""}
            try:
                frame, size_hw = self._worker.decoded(bytes(data), str(path))
            except IMAGE_ERRORS as error:
                row["error"] = str(error)
            else:
                done = self._worker.segmented(frame, size_hw, str(path), str(path))
                row |= {
                    "height": size_hw[0],
                    "width": size_hw[1],
                    "shares": json.dumps(done.shares),
                    "png": done.files[0][2],
                }
            row["milliseconds"] = 1e3 * (perf_counter() - begun)
            for name, value in row.items():
                columns[name].append(value)
        added = {name: np.asarray(values, object) if _arrays(batch) else values for name, values in columns.items()}
        return {**{name: values for name, values in batch.items() if name != "bytes"}, **added}


def _arrays(batch: Mapping[str, Any]) -> bool:
    return any(isinstance(values, np.ndarray) for values in batch.values())
