"""Scales and zero points: how real values map to 8-bit ones, ``real = scale * (level - zero_point)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Half of int32's range leaves room for the sum of products that the bias is added to.
_BIAS_LIMIT = 2**30


@dataclass(frozen=True)
class QuantParams:
    """Mapping of one activation tensor to uint8.

    Attributes:
        scale: Width of one level, > 0.
        zero_point: 0 for tensors without negative values, else 128. Only these two, because both have an exact int8 twin
            with zero point 0 or a rescaling to it, which is all that TensorRT knows.
    """

    scale: float
    zero_point: int

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value that a level stands for."""
        return -self.zero_point * self.scale, (255 - self.zero_point) * self.scale

    def quantize(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Real values → levels, as ONNX's QuantizeLinear: ties to even, saturating."""
        levels: npt.NDArray[np.float64] = np.rint(values / self.scale) + self.zero_point
        return np.asarray(np.clip(levels, 0, 255), np.uint8)

    def fake(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Real values → the real values that their levels stand for."""
        return np.asarray((self.quantize(values).astype(np.float64) - self.zero_point) * self.scale)


def activation_params(low: float, high: float) -> QuantParams:
    """The uint8 mapping that covers ``low..high``."""
    if low >= 0:
        return QuantParams(_positive(high / 255), 0)
    return QuantParams(_positive(max(-low / 128, high / 127)), 128)


def weight_scales(weight: npt.NDArray[np.float32], bits: int = 8) -> npt.NDArray[np.float32]:
    """Symmetric scale of each output channel.

    Args:
        weight: float32 (O, …).
        bits: 8 = levels -127..127; 7 = levels -63..63, for processors whose 8-bit products saturate
            (see :mod:`seg_edge.export.quantize`).

    Returns:
        float32 (O,), > 0.
    """
    peak = np.abs(weight.reshape(len(weight), -1)).max(1)
    scales = peak / weight_limit(bits)
    return np.asarray(np.where(scales > 0, scales, 1.0), np.float32)


def weight_limit(bits: int) -> int:
    """Greatest level of a symmetric weight."""
    if bits not in (7, 8):
        raise ValueError(f"weight_limit: bits must be 7 or 8, got {bits}")
    return (1 << (bits - 1)) - 1


def fit_bias(scales: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], input_scale: float) -> npt.NDArray[np.float32]:
    """Widens the weight scales of channels whose bias would not fit int32 at ``input_scale * scale``.

    That happens to channels with vanishing weights: batch normalization has switched them off and only their bias is left.
    """
    return np.maximum(scales, (np.abs(bias) / (input_scale * _BIAS_LIMIT)).astype(np.float32))


def quantize_weight(weight: npt.NDArray[np.float32], scales: npt.NDArray[np.float32], bits: int = 8) -> npt.NDArray[np.int8]:
    """float32 (O, …) → int8 of the same shape, at one scale per output channel."""
    limit = weight_limit(bits)
    per_channel = scales.reshape(-1, *[1] * (weight.ndim - 1))
    return np.asarray(np.clip(np.rint(weight / per_channel), -limit, limit), np.int8)


def _positive(scale: float) -> float:
    # A tensor that is always 0 has no range; any scale represents it.
    return float(np.float32(scale)) if np.float32(scale) > 0 else 1.0
