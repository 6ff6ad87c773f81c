"""Scales and zero points: the mapping of real values to 8-bit levels, ``real = scale * (level - zero_point)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.errors import UnknownNameError
from .names import WEIGHTS

#: Largest level of a symmetric int8 weight.
LEVELS = 127
# If two weights add up to this many levels, their rounded levels add up to at most 128, and 255 * 128 fits int16.
_PAIR = 127.5
# Limit of a bias in levels: half of the range of int32, the other half is for the sum of products.
_BIAS_LIMIT = 2**30


@dataclass(frozen=True)
class QuantParams:
    """Mapping of one activation tensor to uint8.

    Attributes:
        scale: Width of one level, > 0.
        zero_point: 0 for tensors without negative values, else 128. Both can be converted to int8 with zero point 0,
            the only kind that TensorRT supports.
    """

    scale: float
    zero_point: int

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest real value of a level."""
        return -self.zero_point * self.scale, (255 - self.zero_point) * self.scale

    def quantize(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Real values → levels, as in ONNX's QuantizeLinear: ties to even, saturating."""
        levels: npt.NDArray[np.float64] = np.rint(values / self.scale) + self.zero_point
        return np.asarray(np.clip(levels, 0, 255), np.uint8)

    def fake(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Real values → the real values of their levels."""
        return np.asarray((self.quantize(values).astype(np.float64) - self.zero_point) * self.scale)


def activation_params(low: float, high: float) -> QuantParams:
    """The uint8 mapping that covers ``low..high``."""
    if low >= 0:
        return QuantParams(_positive(high / 255), 0)
    return QuantParams(_positive(max(-low / 128, high / 127)), 128)


def weight_scales(weight: npt.NDArray[np.float32], kind: str = "portable") -> npt.NDArray[np.float32]:
    """Symmetric scale of each output channel.

    x86 processors without VNNI multiply uint8 by int8 and add the products of two neighbouring weights in int16
    (pmaddubsw). The sum saturates silently: 255 * (127 + 127) is twice the range of int16. ``"portable"`` widens the
    scale of a channel until no two neighbours can saturate, so that every processor computes the same. On trained
    networks this costs 0.7 of the 8 bits; halving all weights, the usual remedy, costs 1 bit.

    Neighbours are adjacent input channels or adjacent columns, because kernels store weights in either of these orders.

    Args:
        weight: float32 (O, I, kh, kw).
        kind: A name of :data:`WEIGHTS`.

    Returns:
        float32 (O,), > 0.

    Raises:
        UnknownNameError: no such kind.
    """
    if kind not in WEIGHTS:
        raise UnknownNameError("weight range", kind, WEIGHTS)
    channels = len(weight)
    scales = np.abs(weight.reshape(channels, -1)).max(1) / LEVELS
    if kind == "portable":
        for order in (weight.reshape(channels, -1), np.moveaxis(weight, 1, -1).reshape(channels, -1)):
            for signed in (order, -order):
                positive = np.maximum(signed, 0)
                pairs = (positive[:, :-1] + positive[:, 1:]).max(1, initial=0)
                scales = np.maximum(scales, pairs / _PAIR)
    return np.asarray(np.where(scales > 0, scales, 1.0), np.float32)


def fit_bias(scales: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], input_scale: float) -> npt.NDArray[np.float32]:
    """Widens the weight scales of channels whose bias would not fit int32 at ``input_scale * scale``.

    Such channels have weights close to 0: batch normalization has disabled them, and only the bias is left.
    """
    return np.maximum(scales, (np.abs(bias) / (input_scale * _BIAS_LIMIT)).astype(np.float32))


def quantize_weight(weight: npt.NDArray[np.float32], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """float32 (O, …) → int8 of the same shape, at one scale per output channel."""
    per_channel = scales.reshape(-1, *[1] * (weight.ndim - 1))
    return np.asarray(np.clip(np.rint(weight / per_channel), -LEVELS, LEVELS), np.int8)


def _positive(scale: float) -> float:
    # A tensor that is always 0 has no range; every scale can represent it.
    return float(np.float32(scale)) if np.float32(scale) > 0 else 1.0
