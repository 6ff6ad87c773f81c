"""The CPUs that this process may use."""

from __future__ import annotations

import operator
import os
from pathlib import Path

from .errors import InputError

ROOT = Path("/")


def usable_cpus() -> set[int]:
    """Numbers of the logical CPUs that the process may run on; ``taskset`` and containers may restrict them."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def cpu_quota(root: Path = ROOT) -> float | None:
    """How many CPUs' time the process may use, as containers limit it (``docker run --cpus=2``); None without a limit.

    The lowest limit counts of the process's control groups and those around them, of versions 2 and 1.

    Args:
        root: Folder that contains ``proc`` and ``sys``.
    """
    quotas = []
    for line in (_text(root / "proc/self/cgroup") or "0::/").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            bases, read = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            bases, read = [root / "sys/fs/cgroup" / name for name in (controllers, "cpu", "cpu,cpuacct")], _quota_v1
        else:
            continue
        parts = [part for part in group.split("/") if part not in ("", "..")]
        # Inside a container the group's path is often that of the host, and its files lie at the top.
        folders = [base.joinpath(*parts[:depth]) for base in bases for depth in range(len(parts) + 1)]
        quotas += [quota for quota in map(read, folders) if quota is not None]
    return min(quotas, default=None)


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = (_text(folder / "cpu.max") or "").partition(" ")
    return _ratio(quota, period or "100000")


def _quota_v1(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.cfs_quota_us") or "", _text(folder / "cpu.cfs_period_us") or "100000")


def _ratio(quota: str, period: str) -> float | None:
    """None for "max", −1 and what is no number."""
    try:
        limit, length = int(quota), int(period)
    except ValueError:
        return None
    return limit / length if limit > 0 and length > 0 else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def usable_count() -> int:
    """How many CPUs the process may keep busy: those it may run on, and no more than a container's quota gives."""
    return _within_quota(len(usable_cpus()))


def _within_quota(count: int) -> int:
    """At most the whole CPUs of the quota: one thread more is stopped for the rest of each period, with all that wait."""
    quota = cpu_quota()
    return count if quota is None else max(1, min(count, int(quota)))


def resolve_threads(threads: int | None) -> int:
    """Resolves a number of CPU threads: None is the number of physical cores that this process may use, within its quota.

    Raises:
        InputError: the number is below 1, or so high that starting the threads would hang the machine.
    """
    if threads is None:
        return _within_quota(_physical_cores())
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
