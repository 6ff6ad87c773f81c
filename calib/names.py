"""Names that options take; the modules that implement them have the same ones in their tables."""

from __future__ import annotations

#: Of :data:`seg_edge.calib.observers.OBSERVERS`.
OBSERVERS = ("minmax", "percentile", "mse", "entropy")
#: How weights may use their levels: ``"portable"`` computes the same on every processor, ``"full"`` is finest and needs one
#: with 32-bit accumulation (VNNI, ARM, GPUs).
WEIGHTS = ("portable", "full")
