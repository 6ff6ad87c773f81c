"""A video to overlays as tutorials do it, with the fp32 network of an artefact: the side that peers.py compares with."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy.typing as npt
import onnx
import onnxruntime as ort
from end_to_end import usual_interleaved, usual_planes

from seg_edge.runtime.modelfile.modelfile import read_spec

Array = npt.NDArray[Any]


class PlainLoop:
    """The loop that tutorials show, with the fp32 network of an artefact.

    Args:
        model: ``model.fp32.onnx``.
        threads: Of ONNX Runtime; OpenCV's are set for the whole process.
        folder: Where the cut network goes.
    """

    def __init__(self, model: Path, threads: int, folder: Path) -> None:
        self.spec = read_spec(model)
        cut = folder / "plain.onnx"
        cut_network(model, cut)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = ort.InferenceSession(str(cut), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._palette = self.spec.labels.palette_bgr
        # The network's first weights hold the division by the standard deviation and the order BGR: only the mean is left.
        self._mean = self.spec.mean[::-1]
        self._post = usual_interleaved

    def process(self, frame: Array) -> tuple[Array, Array]:
        """Mask and overlay."""
        height, width = self.spec.input_hw
        blob = cv2.dnn.blobFromImage(frame, 1.0, (width, height), self._mean)
        logits = self._session.run(None, {self._input: blob})[0][0]
        return self._post(logits, frame, self._palette)

    def choose(self, frame: Array) -> str:
        """Takes the layout of the logits that is faster here."""
        times = {}
        for post in (usual_interleaved, usual_planes):
            self._post = post
            spent = []
            for _ in range(6):
                began = perf_counter()
                self.process(frame)
                spent.append(perf_counter() - began)
            times[post] = median(spent[1:])
        self._post = min(times, key=lambda post: times[post])
        return self._post.__name__

    def block(self, video: Path, seconds: float) -> float:
        """Frames per second of overlays."""
        capture = cv2.VideoCapture(str(video))
        first, now, count = 0.0, 0.0, 0
        while not count or now - first < seconds:
            ok, frame = capture.read()
            if not ok:
                break
            self.process(frame)
            now = perf_counter()
            first = first or now
            count += 1
        capture.release()
        return rate(count, now - first)


def cut_network(model: Path, out: Path) -> None:
    """The network behind Cast, Sub and Transpose of an export: float N×3×H×W, BGR less the mean."""
    graph = onnx.load(str(model)).graph
    start = next((node.output[0] for node in graph.node if node.op_type == "Transpose"), None)
    if start is None:
        raise SystemExit(f"peers: {model}: expected an export of seg-edge, whose graph begins with Cast, Sub and Transpose")
    onnx.utils.extract_model(str(model), str(out), [start], [graph.output[0].name])


def rate(frames: int, seconds: float) -> float:
    """Frames are one more than the intervals between them."""
    if frames < 2 or seconds <= 0:
        raise SystemExit("peers: a block gave less than two overlays; pass a longer --block")
    return (frames - 1) / seconds
