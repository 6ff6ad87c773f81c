"""The state of the machine during a measurement: clocks, temperature, throttling, and memory of this process."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...runtime.machine.system import ROOT, read
from .nvml import nvml
from .sensors import number, temperature_c


@dataclass
class Vitals:
    """Readings collected turn by turn; :meth:`take` adds one.

    Args:
        root: Folder with ``proc`` and ``sys``.
        gpu: Also read the first NVIDIA GPU.

    Attributes:
        hottest_c: Highest temperature of the processor, and of the GPU if it is read.
    """

    root: Path = ROOT
    gpu: bool = False
    hottest_c: float | None = None
    _cpu_mhz: list[float] = field(default_factory=list)
    _gpu_mhz: list[float] = field(default_factory=list)
    _throttles: set[str] = field(default_factory=set)
    _throttle_known: bool = False

    def __post_init__(self) -> None:
        self._device = nvml()[0] if self.gpu and self.root == ROOT else None
        self._events = throttle_events(self.root)

    def take(self) -> None:
        """Takes one reading. Call it right after a run, before the clocks change."""
        cpu, gpu = cpu_mhz(self.root), gpu_mhz(self.root)
        degrees, alerts = temperature_c(self.root), throttle_alerts(self.root)
        if self._device is not None:
            gpu = self._device.clock_mhz()
            readings = [value for value in (degrees, self._device.temperature_c()) if value is not None]
            degrees = max(readings, default=None)
            reasons = self._device.throttled()
            alerts = alerts if reasons is None else [*(alerts or []), *(f"GPU: {reason}" for reason in reasons)]
        if cpu is not None:
            self._cpu_mhz.append(cpu)
        if gpu is not None:
            self._gpu_mhz.append(gpu)
        if degrees is not None:
            self.hottest_c = max(degrees, self.hottest_c or degrees)
        if alerts is not None:
            self._throttle_known = True
            self._throttles.update(alerts)

    @property
    def clocks_mhz(self) -> dict[str, list[float] | None]:
        """Lowest and highest reading, megahertz: ``cpu`` (mean of all CPUs at a moment) and ``gpu``; None where unknown."""
        return {
            name: [min(values), max(values)] if values else None
            for name, values in (("cpu", self._cpu_mhz), ("gpu", self._gpu_mhz))
        }

    @property
    def throttled(self) -> list[str] | None:
        """Reasons of throttling since the start; empty without throttling, None if the machine doesn't report it."""
        now = throttle_events(self.root)
        if not now and not self._throttle_known:
            return None
        counted = {
            f"{name}: {count - self._events.get(name, 0)} events"
            for name, count in now.items()
            if count > self._events.get(name, 0)
        }
        return sorted(self._throttles | counted)


def cpu_mhz(root: Path = ROOT) -> float | None:
    """Mean clock of the CPUs at this moment; None if the system doesn't show it, as in most virtual machines."""
    values = [number(path) for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    known = [value / 1000 for value in values if value]
    return sum(known) / len(known) if known else None


def gpu_mhz(root: Path = ROOT) -> float | None:
    """Clock of a Jetson's GPU: the devfreq device whose name ends in gpu, gp10b (TX2), gv11b (Xavier) or ga10b (Orin)."""
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        if (
            re.search(r"(gpu(-gpc-0)?|gp10b|gv11b|ga10b)$", device.name)
            and (hertz := number(device / "cur_freq")) is not None
        ):
            return hertz / 1e6
    return None


def throttle_events(root: Path = ROOT) -> dict[str, int]:
    """Cumulative counters: thermal events of x86 packages, over-current and under-voltage events of Jetson boards."""
    events: dict[str, int] = {}
    for path in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/package_throttle_count"):
        count = number(path)
        if count is not None:  # all CPUs of a package show the same counter
            events["CPU heat"] = max(count, events.get("CPU heat", 0))
    for chip in (root / "sys/class/hwmon").glob("hwmon*"):
        for path in chip.glob("oc[0-9]_event_cnt"):
            count = number(path)
            if count is not None:
                events[f"over-current {path.name[:3]}"] = count
    return events


def throttle_alerts(root: Path = ROOT) -> list[str] | None:
    """Cooling devices of a Jetson that throttle at this moment (``cpu-throttle-alert``, …); None without any."""
    devices = [
        (name, number(device / "cur_state"))
        for device in (root / "sys/class/thermal").glob("cooling_device*")
        if "throttle-alert" in (name := read(device / "type") or "")
    ]
    return [name for name, state in devices if state] if devices else None


def memory(root: Path = ROOT) -> dict[str, Any]:
    """Memory of this process: ``rss_bytes`` (now) and ``peak_bytes`` (maximum); None if unknown."""
    text = read(root / "proc/self/status") or ""
    sizes = {key: re.search(rf"^{key}:\s*(\d+) kB", text, re.MULTILINE) for key in ("VmRSS", "VmHWM")}
    rss, peak = (int(match[1]) * 1024 if match else None for match in sizes.values())
    return {"rss_bytes": rss, "peak_bytes": peak}
