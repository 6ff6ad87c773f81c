"""The options of quantization."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...calib.names import OBSERVERS, WEIGHTS
from ...core.options import Options, configuration, option


@configuration
class QuantOptions(Options):
    """How to quantize.

    >>> QuantOptions(observer="percentile").weights
    'portable'
    """

    observer: str = option("minmax", help="How activation ranges are chosen", choices=lambda: OBSERVERS, metavar="NAME")
    bias_correction: bool = option(True, help="Correct the biases for what quantization shifts.")
    weights: str = option(
        "portable",
        help="portable: the same result on every processor; full: finest, saturates on x86 processors without VNNI. Names",
        choices=lambda: WEIGHTS,
        kind="weight range",
    )
    int32_bias: bool = option(
        True,
        help="Store biases as int32 behind a DequantizeLinear, as integer kernels use them; False: as float32, as TensorRT "
        "wants them.",
    )
    quantize_output: bool = option(
        True, help="Let the logits pass a Q/DQ pair too, which ONNX Runtime needs to run the head in 8 bits."
    )

    def algorithm(self) -> dict[str, Any]:
        """The fields that the calibration depends on."""
        return {key: value for key, value in asdict(self).items() if key != "int32_bias"}
