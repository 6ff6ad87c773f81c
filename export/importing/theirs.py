"""The artefact against masks that the other tool made itself: does the stated preprocessing fit the network?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...core.metrics import agreement
from ...runtime.segmenter import Segmenter
from ..checks.frames import Frame
from ..foreign.options import ImportOptions
from ..report.rows import Gate
from .original import Mask, Original
from .proof import best_alternative
from .report import BrokenImportError, ImportReport

#: Default least agreement: the other tool may enlarge masks in another way, which moves borders by a pixel.
LEAST_THEIRS = 0.99


def compare_masks(
    report: ImportReport, original: Original, path: Path, engine: str, frames: Sequence[Frame], masks: Sequence[Mask],
    options: ImportOptions,
) -> None:  # fmt: skip
    """Compares masks of the runtime with those of the other tool, at the frames' sizes.

    Raises:
        BrokenImportError: too few pixels agree; the text names the preprocessing that explains the masks.
    """
    least = LEAST_THEIRS if options.min_agreement is None else options.min_agreement
    with Segmenter(path, engine, threads=options.threads) as segmenter:
        share = float(np.mean([agreement(mask, segmenter(frame)) for frame, mask in zip(frames, masks, strict=True)]))
    report.gates.append(Gate("import: masks", least, share, at_least=True))
    report.notes.append(f"{100 * share:.3f} % of the pixels are as in the masks of the other tool")
    if share >= least:
        return
    found = best_alternative(original, frames, masks, report.preprocessing, share)
    why = f"{found}: pass that" if found else "no other channel order, mean or resize explains them"
    raise BrokenImportError(
        f"{report.source}: {100 * share:.2f} % of the pixels are as in `masks`, at least {100 * least:g} % must "
        f"(`min_agreement`); {why}",
        report,
    )
