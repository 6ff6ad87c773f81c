"""Pruning as the first step of an export."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.progress import Progress
from ...train.checkpoint import BEST, Checkpoint, load_checkpoint
from ..report.rows import StepRow
from .options import PruneOptions
from .report import PruneRow
from .steps import prune_checkpoint

#: Suffix of the folder beside the artefact with the pruned checkpoint and its report.
SUFFIX = ".pruned"


def prune_first(
    checkpoint: str | Path, out: Path, options: PruneOptions, input_hw: tuple[int, int] | None, progress: Progress | None
) -> tuple[Checkpoint, list[StepRow]]:
    """Prunes a checkpoint into the folder ``<out>.pruned``.

    Args:
        out: The artefact folder that the export will write.

    Returns:
        The pruned network, and the pruning's rows for the report of the export.

    Raises:
        SegEdgeError: see :func:`seg_edge.export.prune`.
    """
    if input_hw is not None and input_hw != load_checkpoint(checkpoint).spec.input_hw:
        raise InputError(
            "`prune`: prunes and measures at the checkpoint's input size; leave `input_hw` out, or export the pruned "
            "checkpoint with it afterwards"
        )
    folder = out.with_name(out.name + SUFFIX)
    report = prune_checkpoint(checkpoint, folder, options, progress)
    rows = [_step(row) for row in report.steps]
    rows[-1].notes.append(f"the checkpoint is {folder.name}/{BEST}: {report.about['goal']}, {report.about['importance']}")
    return load_checkpoint(folder / BEST), rows


def _step(row: PruneRow) -> StepRow:
    step = StepRow(row.step, None, row.sha256, row.bytes, "fp32")
    step.miou, step.worst_class, step.latency_ms = row.miou, row.worst_class, dict(row.latency_ms)
    step.notes.append(
        f"{row.channels} channels, {row.params / 1e6:.3f} M parameters, {row.macs / 1e9:.3f} GMAC; "
        "worst class against the start"
    )
    if row.note:
        step.notes.append(row.note)
    return step
