"""What a network expects of its input: channel order, normalization, resize; stated, or guessed with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from ...calib.graph import consumers, weights
from ...core.errors import InputError
from .families import Family
from .interface import Input, layout_of
from .options import ImportOptions, Triple

IMAGENET: tuple[Triple, Triple, float] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1 / 255)
ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Guess:
    """One thing that the file didn't say outright."""

    what: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} {self.value}: {self.reason}"


@dataclass(frozen=True)
class Preprocessing:
    """``(pixel * scale - mean) / std`` in each channel of the network's order."""

    rgb: bool
    mean: Triple
    std: Triple
    scale: float
    resize: str

    @property
    def mean_rgb(self) -> Triple:
        """The mean on the 0..255 scale, in RGB order."""
        return self._in_rgb(tuple(value / self.scale for value in self.mean))

    @property
    def std_rgb(self) -> Triple:
        """The deviation on the 0..255 scale, in RGB order."""
        return self._in_rgb(tuple(value / self.scale for value in self.std))

    def _in_rgb(self, values: tuple[float, ...]) -> Triple:
        first, second, third = values if self.rgb else values[::-1]
        return first, second, third

    def image(self, frame_bgr: npt.NDArray[np.uint8], source: Input) -> npt.NDArray[Any]:
        """What the network gets for a frame of its input size, uint8 (1, H, W, 3) BGR."""
        ordered = frame_bgr[..., ::-1] if self.rgb else frame_bgr
        if source.dtype == "uint8":
            return layout_of(np.ascontiguousarray(ordered), source.layout)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        normalized = (ordered.astype(np.float32) * np.float32(self.scale) - mean) / std
        return layout_of(np.ascontiguousarray(normalized.astype(source.dtype)), source.layout)

    def to_dict(self) -> dict[str, Any]:
        return {
            "color_order": "RGB" if self.rgb else "BGR", "mean": list(self.mean), "std": list(self.std),
            "scale": self.scale, "resize": self.resize,
        }  # fmt: skip

    def __str__(self) -> str:
        mean, std = (",".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        order = "RGB" if self.rgb else "BGR"
        return f"{order}, (pixel * {_scale_text(self.scale)} - {mean}) / {std}, {self.resize}"


def resolve(
    options: ImportOptions, model: onnx.ModelProto, source: Input, family: Family
) -> tuple[Preprocessing, list[Guess]]:
    """The preprocessing by the options, the graph and the family, in this order; and a reason for each guess.

    Raises:
        InputError: normalization for a network that takes bytes.
    """
    guesses: list[Guess] = []

    def pick(what: str, stated: Any, guess: Any, reason: str, show: Any = str) -> Any:
        if stated is not None:
            return stated
        guesses.append(Guess(what, show(guess), reason))
        return guess

    rgb, resize = family.rgb, family.resize
    if source.dtype == "uint8":
        for name in ("mean", "std", "scale"):
            if getattr(options, name) is not None:
                raise InputError(f"`{name}`: the network takes bytes and normalizes them itself; leave it out")
        mean, std, scale = ZERO, ONE, 1.0
    else:
        mean, std, scale, why = _normalization(model, source, family)
        if options.mean is not None or options.std is not None or options.scale is not None:
            mean, std = options.mean or ZERO, options.std or ONE
            small = max(map(abs, mean)) <= 1 and max(std) <= 1
            scale = options.scale or (1 / 255 if small else 1.0)
            if options.scale is None:
                small_text = "`mean` and `std` are at most 1" if small else "`mean` or `std` is above 1"
                guesses.append(Guess("scale", _scale_text(scale), small_text.replace("`", "")))
        else:
            text = f"{','.join(f'{v:g}' for v in mean)} / {','.join(f'{v:g}' for v in std)} after {_scale_text(scale)}"
            guesses.append(Guess("mean / std", text, why))
    rgb = pick("channel order", options.rgb, rgb, family.reason, lambda value: "RGB" if value else "BGR")
    resize = pick("resize", options.resize, resize, family.reason)
    return Preprocessing(rgb, mean, std, scale, resize), guesses


def _normalization(model: onnx.ModelProto, source: Input, family: Family) -> tuple[Triple, Triple, float, str]:
    """Mean, deviation and scale, with the reason."""
    constant = _first_constant(model, source.name)
    if constant is not None:
        kind, value = constant
        bytes_scale = (
            (kind == "Sub" and value > 1.5)
            or (kind in ("Div", "Mul") and not 0.05 < value < 20)
            or kind == "Add"
            and value < -1.5
        )
        scale, range_text = (1.0, "0 to 255") if bytes_scale else (1 / 255, "0 to 1")
        return ZERO, ONE, scale, f"the graph normalizes its input itself ({kind} by {value:g}), of pixels {range_text}"
    return family.mean, family.std, family.scale, family.reason


def _first_constant(model: onnx.ModelProto, name: str) -> tuple[str, float] | None:
    """The first operation with a constant of at most one value per channel on the input: (operator, largest value)."""
    constants, readers = weights(model), consumers(model)
    for _ in range(4):
        after = readers.get(name, [])
        if len(after) != 1:
            return None
        node = after[0]
        if node.op_type in ("Sub", "Div", "Mul", "Add"):
            values: Mapping[int, Any] = {i: constants.get(each) for i, each in enumerate(node.input)}
            value = next((each for each in values.values() if each is not None), None)
            if value is not None and value.size in (1, 3):
                return node.op_type, float(value.reshape(-1)[np.abs(value.reshape(-1)).argmax()])
            return None
        if node.op_type not in ("Cast", "Transpose", "Identity"):
            return None
        name = node.output[0]
    return None


def _scale_text(scale: float) -> str:
    inverse = 1 / scale
    return f"1/{inverse:g}" if scale < 1 and abs(inverse - round(inverse)) < 1e-6 else f"{scale:g}"
