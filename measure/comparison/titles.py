"""The metrics that two trainings are compared by."""

from __future__ import annotations

#: The metrics, in the order of the tables, with their titles.
TITLES = {
    "accuracy": "pixel accuracy", "miou": "IoU (mean over classes)", "f1": "F1 (mean over classes)",
    "dice": "Dice (mean over images)", "sensitivity": "sensitivity", "specificity": "specificity",
}  # fmt: skip
METRICS = tuple(TITLES)
