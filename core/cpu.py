"""The processors that this process may use."""

from __future__ import annotations

import operator
import os
from pathlib import Path

from .errors import InputError


def usable_cpus() -> set[int]:
    """Numbers of the logical processors that the process may run on (``taskset`` and containers may leave it a few)."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def resolve_threads(threads: int | None) -> int:
    """The number of CPU threads that a request means: None is every core that this process may use.

    Raises:
        InputError: below 1, or so many that starting them would hang the machine.
    """
    if threads is None:
        return _physical_cores()
    number = operator.index(threads)
    most = max(4 * len(usable_cpus()), 64)
    if number > most:
        raise InputError(f"threads: expected at most {most} on {len(usable_cpus())} CPUs, got {number}; leave it out")
    if number < 1:
        raise InputError(f"threads: expected at least 1, got {number}; leave it out to use every core")
    return number


def _physical_cores() -> int:
    # Two hardware threads of one core share its vector units: counting both makes inference slower, not faster.
    cpus = usable_cpus()
    cores = set()
    for cpu in cpus:
        try:
            siblings = (
                Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii").strip()
            )
        except OSError:
            return len(cpus)
        cores.add(siblings)
    return max(len(cores), 1)
