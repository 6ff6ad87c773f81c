"""Options: the files that an export writes beside the ONNX files."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, configuration, option
from ...core.spec import OUTPUTS
from ..trt.options import BuildOptions

#: Layouts of a plain graph's input.
PLAIN_LAYOUTS = ("nchw", "nhwc")
#: Precisions of weights in ncnn's files.
NCNN_WEIGHTS = ("fp32", "fp16")
#: Precisions, the smallest model first.
SMALLEST = ("int8", "fp16", "fp32")


@configuration
class DeliverOptions(Options):
    """The files that an export writes beside the ONNX files.

    >>> DeliverOptions(head="labels", ir=True).triton is None
    True

    Attributes:
        plan: How to build an engine file from the smallest model; None builds none.
    """

    head: str = option("logits", help="logits, or labels: upsample and argmax in the graph (DeepStream, Triton, …).")
    ir: bool = option(False, help="Also write OpenVINO IR (.xml, .bin) of every model.")
    triton: Path | None = option(None, help="Put the smallest model into this Triton model repository.")
    plain: str | None = option(
        None,
        help="Also write model.plain.onnx, a float graph for tools that preprocess and quantize themselves, with settings "
        "for RKNN, Hailo, DeepStream and ncnn. Its layout",
        choices=lambda: PLAIN_LAYOUTS,
    )
    ncnn: str | None = option(
        None,
        help="Also write model.ncnn.param and model.ncnn.bin with pnnx, and compare them in ncnn. Precision of the weights",
        choices=lambda: NCNN_WEIGHTS,
    )
    litert: bool = option(False, help="Also write model.tflite with litert-torch, in float32, and compare it in LiteRT.")
    plan: BuildOptions | None = None

    def check(self) -> None:
        if self.head not in OUTPUTS:
            raise InputError(f"`head`: expected one of {', '.join(OUTPUTS)}, got {self.head!r}")
        if self.ncnn is not None and self.head == "labels":
            raise InputError("`ncnn`: its files give logits; leave `head='labels'` out")
        if self.litert and self.head == "labels":
            raise InputError("`litert`: its file gives logits; leave `head='labels'` out")
        if self.triton is not None and self.triton.is_file():
            raise InputError(f"`triton='{self.triton}'`: is a file; choose a folder, Triton's model repository")
