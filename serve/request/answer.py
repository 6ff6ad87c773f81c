"""Masks as answers: PNG, overlay, JSON. Everything here runs in a codec thread."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.labels import Labels
from ...datasets.encodings.png import encode_png, with_palette
from ...datasets.encodings.polygons import feature_collection
from ...datasets.imagefiles.header import Bytes
from ...runtime.frame.kernels import coco_rle
from ..work.imagefile import decode, open_image
from ..work.model import ServedModel
from ..work.workspace import workspace
from .wants import FORMATS, Wants

Mask = npt.NDArray[np.uint8]


@dataclass
class Answer:
    """One answer.

    Attributes:
        body: Its bytes.
        media_type: Of the body.
        timings_ms: Stage → milliseconds: ``decode``, ``pre``, ``wait``, ``engine``, ``post``, ``encode``; of several images
            the sums.
        size_hw: Height and width of the (last) image.
    """

    body: bytes
    media_type: str
    timings_ms: dict[str, float] = field(default_factory=dict)
    size_hw: tuple[int, int] = (0, 0)


def answer_images(
    model: ServedModel, images: list[tuple[str, Bytes]], wants: Wants, max_pixels: int, scaled: bool = True
) -> Answer:
    """Decodes, segments and encodes a request's images.

    Args:
        model: Who segments.
        images: Name and file of each.
        wants: The request's options; several images need ``format="json"``.
        max_pixels: Larger images are refused before they are decoded.
        scaled: Whether JPEGs may be scaled down while they are decoded.

    Raises:
        ApiError: an image that can't be taken; the text names it.
        EngineError: the engine failed.
    """
    if wants.format != "json":
        return _answer_image(model, *images[0], wants, max_pixels, scaled)[0]
    rows: list[dict[str, Any]] = []
    timings_ms: dict[str, float] = {}
    answer = Answer(b"", "")
    for name, data in images:
        answer, row = _answer_image(model, name, data, wants, max_pixels, scaled)
        timings_ms = {stage: timings_ms.get(stage, 0.0) + value for stage, value in answer.timings_ms.items()}
        rows.append(row)
    body = json.dumps(rows[0] if len(rows) == 1 else {"model": model.name, "results": rows}, separators=(",", ":"))
    return Answer(body.encode(), FORMATS["json"], timings_ms, answer.size_hw)


def _answer_image(
    model: ServedModel, name: str, data: Bytes, wants: Wants, max_pixels: int, scaled: bool
) -> tuple[Answer, dict[str, Any]]:
    begun = perf_counter()
    header = open_image(data, max_pixels, name)
    # An overlay is painted over the whole image.
    frame, scale = decode(data, header, model.spec.input_hw, scaled and wants.style is None, name)
    size_hw = header.shown_hw if scale > 1 else frame.shape[:2]
    decoded = perf_counter()
    segmented = model.segment(frame, size_hw, workspace.take("mask", size_hw))
    mask = segmented.mask
    computed = perf_counter()
    row: dict[str, Any] = {}
    if wants.format == "overlay":
        assert wants.style is not None
        painted = model.overlay(frame, mask, wants.style)
        body = cv2.imencode(".jpg", painted, (cv2.IMWRITE_JPEG_QUALITY, wants.quality))[1].tobytes()
    elif wants.format == "json":
        row, body = _as_json(mask, wants, model, name), b""
    else:
        body = _png(mask)
        if wants.format == "palette":
            body = with_palette(body, model.labels.palette_bgr[:, ::-1])
    done = perf_counter()
    timings_ms = {"decode": 1e3 * (decoded - begun), **segmented.timings_ms, "encode": 1e3 * (done - computed)}
    if row:
        row["timings_ms"] = {stage: round(value, 3) for stage, value in timings_ms.items()}
    return Answer(body, FORMATS[wants.format], timings_ms, mask.shape), row


def shares(mask: Mask, labels: Labels) -> list[dict[str, Any]]:
    """Pixels and share (0 to 1) of each class.

    >>> shares(np.zeros((2, 2), np.uint8), Labels(("sky",), ((0, 0, 255),)))
    [{'id': 0, 'name': 'sky', 'pixels': 4, 'share': 1.0}]
    """
    counts = cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()
    return [
        {"id": number, "name": name, "pixels": int(counts[number]), "share": round(float(counts[number]) / mask.size, 6)}
        for number, name in enumerate(labels.names)
    ]


def _as_json(mask: Mask, wants: Wants, model: ServedModel, name: str) -> dict[str, Any]:
    labels = model.labels
    row: dict[str, Any] = {"model": model.name, "image": name, "size": list(mask.shape), "classes": shares(mask, labels)}
    if wants.mask != "none":
        row["mask"] = {"encoding": wants.mask, "data": _encoded(mask, wants, labels)}
    return row


def _png(mask: Mask) -> bytes:
    height, width = mask.shape
    return encode_png(mask, workspace.take("rows", (height, 1 + width)))


def _encoded(mask: Mask, wants: Wants, labels: Labels) -> Any:
    if wants.mask == "rle":
        found = coco_rle(mask)
        return [
            {"id": number, "name": labels.names[number], "size": list(mask.shape), "counts": found[number]}
            for number in wants.shown
            if number in found
        ]
    if wants.mask == "polygons":
        return feature_collection(mask, labels.names, list(wants.shown))
    png = _png(mask)
    return b64encode(with_palette(png, labels.palette_bgr[:, ::-1]) if wants.mask == "palette" else png).decode("ascii")
