"""Sensors for a measurement: energy and temperature of the CPU, and the load by other processes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.machine.system import ROOT, read

# Names of thermal zones and hwmon chips inside the processor.
_CPU_ZONE = re.compile(r"x86_pkg_temp|cpu|soc|^tj", re.IGNORECASE)
_CPU_CHIP = ("coretemp", "k10temp", "zenpower", "cpu_thermal")

#: A measurement gets a warning if other processes use more than this many cores.
QUIET_CORES = 0.1


class EnergyMeter:
    """The energy counters of the CPU packages (RAPL), for the whole machine, idle power included.

    Args:
        root: Folder with ``sys``.

    Attributes:
        reason: Why energy can't be read here; empty if it can.
    """

    def __init__(self, root: Path = ROOT) -> None:
        zones = [
            zone
            for zone in sorted((root / "sys/class/powercap").glob("*-rapl:*"))
            # Packages only: cores and DRAM (…:0:1) are parts of a package, and psys is the sum of all packages.
            if zone.name.count(":") == 1 and (read(zone / "name") or "").startswith("package")
        ]
        self._zones = [zone for zone in zones if number(zone / "energy_uj") is not None]
        if zones and not self._zones:
            self.reason = "the RAPL energy counters are there, but only root may read them"
        else:
            self.reason = "" if zones else "no energy counter"

    def read_uj(self) -> list[int] | None:
        """Microjoules on the counter of each package; None if they can't be read."""
        values = [number(zone / "energy_uj") for zone in self._zones]
        known = [value for value in values if value is not None]
        return known if known and len(known) == len(values) else None

    def joules(self, before: list[int] | None, after: list[int] | None) -> float | None:
        """Energy between two readings, joules. A counter that wrapped around once in between is handled."""
        if before is None or after is None:
            return None
        total = 0
        for zone, start, end in zip(self._zones, before, after, strict=True):
            spent = end - start
            if spent < 0:
                spent += (number(zone / "max_energy_range_uj") or 0) + 1
            total += spent
        return total / 1e6


def temperature_c(root: Path = ROOT) -> float | None:
    """The highest temperature of the processor, degrees Celsius; None if no sensor can be read."""
    paths = [
        zone / "temp"
        for zone in (root / "sys/class/thermal").glob("thermal_zone*")
        if _CPU_ZONE.search(read(zone / "type") or "")
    ]
    for chip in (root / "sys/class/hwmon").glob("hwmon*"):
        if read(chip / "name") in _CPU_CHIP:
            paths += chip.glob("temp*_input")
    values = [number(path) for path in paths]
    # Disabled sensors read 0 or less.
    degrees = [value / 1000 for value in values if value is not None and value > 0]
    return max(degrees, default=None)


@dataclass(frozen=True)
class Neighbour:
    """Another process that used CPU time: name, process number, and average number of busy cores."""

    name: str
    pid: int
    cores: float


def processes_text(processes: Iterable[Neighbour | Mapping[str, Any]]) -> str:
    """Other processes as text, separated by commas.

    >>> processes_text([Neighbour("python", 7, 1.44)])
    'python (pid 7, 1.4 cores)'
    """
    values = (vars(process) if isinstance(process, Neighbour) else process for process in processes)
    return ", ".join(f"{value['name']} (pid {value['pid']}, {value['cores']:.1f} cores)" for value in values)


class Neighbours:
    """The CPU time of other processes since :meth:`start`, without processes that have ended.

    Args:
        root: Folder with ``proc``.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._proc = root / "proc"
        self._before: dict[int, tuple[str, float]] = {}
        self._at = 0.0

    def start(self) -> None:
        self._before, self._at = self._spent(), time.perf_counter()

    def busiest(self, least_cores: float, count: int = 3) -> list[Neighbour]:
        """Processes that used more than ``least_cores``, the busiest first, at most ``count``."""
        elapsed = time.perf_counter() - self._at
        busy = []
        for pid, (name, spent_s) in self._spent().items():
            known = self._before.get(pid)
            # A new process has used all its CPU time since then. A reused process number belongs to another name.
            before_s = known[1] if known and known[0] == name else 0.0
            if elapsed > 0 and (cores := (spent_s - before_s) / elapsed) >= least_cores:
                busy.append(Neighbour(name, pid, cores))
        return sorted(busy, key=lambda process: -process.cores)[:count]

    def _spent(self) -> dict[int, tuple[str, float]]:
        tick, own, spent = float(os.sysconf("SC_CLK_TCK")), os.getpid(), {}
        for folder in self._proc.glob("[0-9]*"):
            # "pid (name) state …": the name may contain blanks and brackets, so fields are counted after the last
            # bracket.
            head, _, tail = (read(folder / "stat") or "").rpartition(")")
            fields = tail.split()
            if len(fields) > 12 and int(folder.name) != own:
                spent[int(folder.name)] = (head.partition("(")[2], (int(fields[11]) + int(fields[12])) / tick)
        return spent


class OtherLoad:
    """CPU time of other processes, summed over the intervals between :meth:`start` and :meth:`stop`.

    Args:
        root: Folder with ``proc``.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._stat = root / "proc/stat"
        self._others_s = self._wall_s = 0.0
        self._begun: tuple[float, float, float] | None = None

    def start(self) -> None:
        busy_s = self._busy_s()
        self._begun = None if busy_s is None else (busy_s, time.process_time(), time.perf_counter())

    def stop(self) -> None:
        busy_s = self._busy_s()
        if self._begun is None or busy_s is None:
            return
        busy_before, own_before, wall_before = self._begun
        self._others_s += (busy_s - busy_before) - (time.process_time() - own_before)
        self._wall_s += time.perf_counter() - wall_before
        self._begun = None

    @property
    def cores(self) -> float | None:
        """Average number of cores that other processes used; None if unknown."""
        # Both clocks tick in steps, so the difference may be slightly negative without other load.
        return max(self._others_s / self._wall_s, 0.0) if self._wall_s > 0 else None

    def _busy_s(self) -> float | None:
        match = re.match(r"cpu\s+([\d ]+)", read(self._stat) or "")
        fields = [int(value) for value in match[1].split()] if match else []
        if len(fields) < 8 or not any(fields):
            return None  # no such file, or zeros in a sandbox
        user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
        return (user + nice + system + irq + softirq + steal) / float(os.sysconf("SC_CLK_TCK"))


def number(path: Path) -> int | None:
    """The integer in a small file; None if it can't be read."""
    try:
        return int(read(path) or "")
    except ValueError:
        return None
