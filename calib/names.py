"""Names that options accept, the same as in the tables of the modules that implement them."""

from __future__ import annotations

#: The names in :data:`seg_edge.calib.observers.OBSERVERS`.
OBSERVERS = ("minmax", "percentile", "mse", "entropy")
#: Ranges of weights: ``"portable"`` computes the same on every processor; ``"full"`` has the finest steps and needs a
#: processor with 32-bit accumulation (VNNI, ARM, GPUs).
WEIGHTS = ("portable", "full")
