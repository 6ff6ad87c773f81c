"""The processors that this process may use."""

from __future__ import annotations

import os


def usable_cpus() -> set[int]:
    """Numbers of the logical processors that the process may run on (``taskset`` and containers may leave it a few)."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))
