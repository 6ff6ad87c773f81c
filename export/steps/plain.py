"""The step that writes a plain graph, for tools with preprocessing and quantization of their own."""

from __future__ import annotations

import onnx

from ...calib.graph import Array, session
from ...core.spec import ModelSpec
from ..deliver.plain import PLAIN_DIR, PLAIN_FILE, PLAIN_INPUT, Plain, make_plain, write_settings
from ..report.rows import StepRow
from .context import Context, save


def write_plain(
    model: onnx.ModelProto, layout: str, spec: ModelSpec, context: Context
) -> tuple[ModelSpec, StepRow, list[Array]]:
    """Writes the plain graph and the settings of tools.

    Args:
        model: The fp32 graph for one frame, as in its file.
        spec: The spec of the artefact.

    Returns:
        The spec with the plain graph's input, the row, and the plain graph's outputs for the parity frames.
    """
    context.progress.say(f"plain: {PLAIN_FILE}, {layout}")
    plain = make_plain(model, layout)
    row = StepRow.of("plain", save(plain.model, context.folder / PLAIN_FILE), "fp32")
    files = write_settings(context.folder / PLAIN_DIR, plain, spec)
    row.notes.append(
        f"takes pixels minus a mean, BGR, {layout}; settings in {PLAIN_DIR}/: {', '.join(p.name for p in files)}"
    )
    return spec.with_(provenance={**spec.provenance, "plain": plain.about()}), row, _outputs(plain, context)


def _outputs(plain: Plain, context: Context) -> list[Array]:
    opened = session(plain.model, threads=context.options.threads or 0)
    return [opened.run(None, {PLAIN_INPUT: plain.image(frame)})[0] for frame in context.data.parity]
