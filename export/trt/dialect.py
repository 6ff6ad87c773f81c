"""TensorRT's dialect of Q/DQ for the builder: the same rewrite as in the runtime's engines, on an ONNX graph in memory.

TensorRT only quantizes to int8 with zero point 0, and needs float biases. With other graphs (tried with TensorRT-RTX
1.7), an int32 bias or a zero point of 128 is an error. **A uint8 tensor with zero point 0 is read as int8 with the same
scale, so that everything above half of its range saturates**; TensorRT only warns.
"""

from __future__ import annotations

import onnx

from ...core.errors import ModelFileError
from ...runtime.modelfile.dialect import translate
from ...runtime.modelfile.wire import WireError


def for_tensorrt(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with int8 activations of zero point 0 and float biases; for a graph without Q/DQ, an exact copy.

    Args:
        model: A graph whose activations are uint8 with zero point 0 or 128, or int8 with zero point 0; scales, zero points
            and quantized constants are initializers.

    Raises:
        ModelFileError: another zero point, or a zero point that is computed in the graph.
    """
    try:
        return onnx.load_model_from_string(translate(model.SerializeToString(), "tensorrt"))
    except WireError as error:
        raise ModelFileError(
            f"TensorRT: {error}; it takes int8 with zero point 0, whose twin is uint8 with 0 or 128 only; "
            "export the model again"
        ) from error
