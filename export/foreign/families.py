"""Families of networks, recognised by the file's metadata and the names in its graph."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

import onnx

from ...core.errors import ModelFileError
from .options import Triple

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Family:
    """What networks of a tool usually expect.

    Attributes:
        name: Name of the tool; empty if it is not recognised.
        reason: By what it was recognised.
        mean, std, scale, rgb, resize: See :class:`.preprocessing.Preprocessing`.
        classes: Class names in the file; empty if it has none.
        input_hw: Input size in the file's metadata.
    """

    name: str
    reason: str
    mean: Triple = _MEAN
    std: Triple = _STD
    scale: float = 1 / 255
    rgb: bool = True
    resize: str = "bilinear"
    classes: tuple[str, ...] = ()
    input_hw: tuple[int, int] | None = None


def recognise(model: onnx.ModelProto, where: str) -> Family:
    """The family of a network; one without a name, with the most common preprocessing, if none is recognised.

    Raises:
        ModelFileError: the metadata says that the network does another task.
    """
    about = {entry.key: entry.value for entry in model.metadata_props}
    if "Ultralytics" in about.get("author", "") or {"names", "imgsz", "stride"} <= set(about):
        return _ultralytics(about, where)
    if "paddle" in model.producer_name.lower():
        return Family("PaddleSeg", f"PaddleSeg's default (producer {model.producer_name})", mean=_HALF, std=_HALF)
    tops, joined = _names(model)
    if {"segmentation_head"} & tops and "encoder" in tops:
        return Family("segmentation-models-pytorch", "the default of its encoders (names encoder, segmentation_head)")
    if "segformer" in tops or "SegformerForSemanticSegmentation" in joined:
        return Family("transformers SegFormer", "SegFormer's image processor (names segformer, decode_head)")
    if "backbone" in tops and "decode_head" in tops:
        return Family(
            "mmsegmentation", "mmsegmentation's data_preprocessor (names backbone, decode_head)",
            mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), scale=1.0,
        )  # fmt: skip
    if "backbone" in tops and "classifier" in tops:
        return Family("torchvision", "the transforms of torchvision's weights (names backbone, classifier)")
    if model.producer_name.startswith(("tf2onnx", "keras")):
        return Family(
            "Keras", f"the most common scaling of Keras, to -1..1 (producer {model.producer_name})", mean=_HALF, std=_HALF
        )
    return Family("", "the most common one (ImageNet's statistics); nothing in the file says it")


def _ultralytics(about: dict[str, str], where: str) -> Family:
    task = about.get("task", "")
    if task and task not in ("semantic", "semseg"):
        raise ModelFileError(
            f"{where}: an Ultralytics network for the task {task!r}; expected semantic segmentation (scores per pixel)"
        )
    family = Family(
        "Ultralytics", "Ultralytics' own preprocessing (metadata of the file)", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
        resize="letterbox",
    )  # fmt: skip
    names, size = _literal(about.get("names", "")), _literal(about.get("imgsz", ""))
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        family = replace(family, classes=tuple(str(names[i]) for i in range(len(names))))
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        family = replace(family, input_hw=(size[0], size[1]))
    return family


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text) if len(text) < 100_000 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _names(model: onnx.ModelProto) -> tuple[set[str], str]:
    """The first parts of the names of nodes and weights, and the graph's name."""
    parts: set[str] = set()
    for name in (*(node.name for node in model.graph.node), *(tensor.name for tensor in model.graph.initializer)):
        first = name.lstrip("/").replace("/", ".").split(".")
        parts.update(first[:2] if first[0] in ("model", "module", "net") else first[:1])
    return parts, model.graph.name
