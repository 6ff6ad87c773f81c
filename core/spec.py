"""ModelSpec: the metadata that is stored with the weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import ModelFileError
from .labels import Labels

FORMAT = 1
RESIZE_RULES = ("area", "bilinear", "letterbox")
OUTPUTS = ("logits", "labels")
#: How sure a network is: see seg_edge.runtime.frame.kernels.confidence.
CONFIDENCE_MEASURES = ("probability", "margin")
#: Views of test-time augmentation: see seg_edge.runtime.augmented.
TTA_VIEWS = ("flip", "scale")
PRECISIONS = ("fp32", "fp16", "int8")
#: The key of the JSON text in an ONNX file's ``metadata_props``.
METADATA_KEY = "seg_edge.spec"

# ImageNet statistics in RGB order, the common choice, on the 0..255 scale of frames.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class ModelSpec:
    """Everything that the runtime must know about a network besides its weights.

    Attributes:
        name: Model name, e.g. ``"unet-s"``.
        labels: Class names, palette, ignore index.
        input_hw: Height and width of the network's input, pixels.
        resize: How a frame is resized to ``input_hw``. ``"area"`` (exact box average when shrinking, bilinear when
            enlarging) and ``"bilinear"`` stretch the frame. ``"letterbox"`` is ``"area"`` with the aspect ratio kept,
            in the middle of a grey input.
        color_order: Channel order of the network's input. The exported graph always takes BGR.
        mean, std: Per-channel RGB normalization on the 0..255 scale; part of the exported graph, recorded here.
        output: ``"logits"`` (float, N×C×h×w at ``output_stride``) or ``"labels"`` (uint8, N×H×W).
        output_stride: Input pixels per output pixel along each axis.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        input_range: Of images deeper than 8 bits (16-bit or thermal cameras): the values that become 0 and 255 of a frame;
            None: frames of 8 bits alone.
        provenance: Dataset, split, metrics, seed and versions as JSON values, for reports.
    """

    name: str
    labels: Labels
    input_hw: tuple[int, int]
    resize: str = "area"
    color_order: str = "BGR"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    output: str = "logits"
    output_stride: int = 4
    precision: str = "fp32"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    input_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for key, value, valid in (
            ("resize", self.resize, RESIZE_RULES),
            ("color_order", self.color_order, ("BGR",)),
            ("output", self.output, OUTPUTS),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in valid:
                raise ModelFileError(f"model spec: {key} must be one of {', '.join(valid)}, got {value!r}")
        if len(self.input_hw) != 2 or min(self.input_hw) < 1 or self.output_stride < 1:
            raise ModelFileError(
                f"model spec: input_hw and output_stride must be positive, got {self.input_hw} and {self.output_stride}"
            )
        ends = self.input_range
        if ends is not None and (len(ends) != 2 or not all(map(math.isfinite, ends)) or not ends[0] < ends[1]):
            raise ModelFileError(f"model spec: input_range must be two rising numbers, got {ends}")
        finite = all(map(math.isfinite, (*self.mean, *self.std)))
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise ModelFileError(
                f"model spec: mean and std need three finite values and std > 0, got {self.mean} and {self.std}"
            )

    @property
    def output_hw(self) -> tuple[int, int]:
        """Height and width of the network's output."""
        if self.output == "labels":
            return self.input_hw
        height, width = self.input_hw
        return -(-height // self.output_stride), -(-width // self.output_stride)

    def with_(self, **changes: Any) -> ModelSpec:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "labels": self.labels.to_dict(),
            "input_hw": list(self.input_hw),
            "resize": self.resize,
            "color_order": self.color_order,
            "mean": list(self.mean),
            "std": list(self.std),
            "output": self.output,
            "output_stride": self.output_stride,
            "precision": self.precision,
            "provenance": dict(self.provenance),
            # Left out where there is none: earlier versions know no such key.
            **({} if self.input_range is None else {"input_range": list(self.input_range)}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Reads what :meth:`to_dict` wrote.

        Raises:
            ModelFileError: the format number differs, a key is unknown or missing, or a value is of the wrong kind.
        """
        if data.get("format") != FORMAT:
            raise ModelFileError(
                f"model spec: this version reads format {FORMAT}, got {data.get('format')!r}; export the model again"
            )
        valid = {
            "format", "name", "labels", "input_hw", "resize", "color_order", "mean", "std", "output", "output_stride",
            "precision", "provenance",
        }  # fmt: skip
        if set(data) - {"input_range"} != valid:
            odd = sorted((set(data) - {"input_range"}) ^ valid)[0]
            raise ModelFileError(
                f"model spec: key {odd!r} is {'unknown' if odd in data else 'missing'}; export the model again"
            )
        try:
            height, width = data["input_hw"]
            mean, std = (tuple(float(v) for v in data[key]) for key in ("mean", "std"))
            return cls(
                name=str(data["name"]),
                labels=Labels.from_dict(data["labels"]),
                input_hw=(int(height), int(width)),
                resize=data["resize"],
                color_order=data["color_order"],
                mean=mean,  # type: ignore[arg-type]  # the length is checked in __post_init__
                std=std,  # type: ignore[arg-type]
                output=data["output"],
                output_stride=int(data["output_stride"]),
                precision=data["precision"],
                provenance=dict(data["provenance"]),
                input_range=tuple(float(end) for end in data["input_range"]) if "input_range" in data else None,  # type: ignore[arg-type]
            )
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"model spec: {error}; export the model again") from error

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str | Path = "model spec") -> ModelSpec:
        """Reads the text of :meth:`to_json`; ``where`` names the file in errors.

        Raises:
            ModelFileError: the text is not a spec.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelFileError(f"{where}: not JSON ({error}); export the model again") from error
        if not isinstance(data, dict):
            raise ModelFileError(f"{where}: expected a JSON object, got {type(data).__name__}; export the model again")
        try:
            return cls.from_dict(data)
        except ModelFileError as error:
            raise ModelFileError(str(error) if where == "model spec" else f"{where}: {error}") from error
