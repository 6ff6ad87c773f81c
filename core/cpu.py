"""The CPUs that this process may use."""

from __future__ import annotations

import operator
import os
from pathlib import Path

from .errors import InputError


def usable_cpus() -> set[int]:
    """Numbers of the logical CPUs that the process may run on; ``taskset`` and containers may restrict them."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def resolve_threads(threads: int | None) -> int:
    """Resolves a number of CPU threads: None is the number of physical cores that this process may use.

    Raises:
        InputError: the number is below 1, or so high that starting the threads would hang the machine.
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
    # The hardware threads of a core share its vector units, so that using both makes inference slower.
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
