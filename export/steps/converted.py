"""The steps that write files for ncnn and LiteRT, and run them."""

from __future__ import annotations

import onnx

from ...calib.graph import Array
from ...core.spec import ModelSpec
from ..deliver import litert
from ..deliver.ncnn import ABOUT_FILE, BIN_FILE, PARAM_FILE, ncnn_logits, write_ncnn
from ..deliver.plain import make_plain
from ..report.rows import StepRow
from .context import Context


def convert_to_ncnn(
    model: onnx.ModelProto, precision: str, spec: ModelSpec, context: Context
) -> tuple[ModelSpec, list[StepRow], list[Array]]:
    """Writes the files from the fp32 graph for one frame.

    Args:
        model: The fp32 graph, with logits.
        precision: Of the stored weights, ``"fp32"`` or ``"fp16"``.
        spec: The spec of the artefact.

    Returns:
        The spec with what the files expect, a row for each of the two files, and ncnn's logits for the parity frames.
    """
    context.progress.say(f"ncnn: {PARAM_FILE}")
    plain = make_plain(model, "nchw")
    about = write_ncnn(plain, spec, context.folder, precision)
    rows = [StepRow.of("ncnn", context.folder / name, precision) for name in (PARAM_FILE, BIN_FILE)]
    rows[0].notes.append(f"takes BGR pixels minus a mean; the parameters are in {ABOUT_FILE}")
    rows[1].notes.append(f"the weights of {PARAM_FILE}; compared with the fp32 graph in ncnn, computed in float32")
    images = [plain.image(frame) for frame in context.data.parity]
    outputs = ncnn_logits(context.folder, images, context.options.threads or 1)
    return spec.with_(provenance={**spec.provenance, "ncnn": about}), rows, list(outputs)


def convert_to_litert(model: onnx.ModelProto, spec: ModelSpec, context: Context) -> tuple[ModelSpec, StepRow, list[Array]]:
    """Writes the file from the fp32 graph for one frame.

    Args:
        model: The fp32 graph, with logits.
        spec: The spec of the artefact.

    Returns:
        The spec with what the file expects, its row, and LiteRT's logits for the parity frames.
    """
    context.progress.say(f"litert: {litert.TFLITE_FILE}")
    plain = make_plain(model, "nhwc")
    about = litert.write_litert(plain, spec, context.folder)
    path = context.folder / litert.TFLITE_FILE
    row = StepRow.of("litert", path, "fp32")
    row.notes.append(f"takes BGR pixels minus a mean, nhwc; the parameters are in {litert.ABOUT_FILE}; compared in LiteRT")
    outputs = litert.litert_logits(path, [plain.image(frame) for frame in context.data.parity], context.options.threads or 1)
    return spec.with_(provenance={**spec.provenance, "litert": about}), row, list(outputs)
