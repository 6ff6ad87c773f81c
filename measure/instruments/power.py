"""Energy: the best meter of this machine for the device of a row.

========  ======================================================================  =====================
machine   meter                                                                   scope
========  ======================================================================  =====================
Jetson    INA3221 / INA238 rails in sysfs, else ``tegrastats``                     the whole board
GPU       NVML's energy counter, or its power reading (package nvidia-ml-py)       the GPU's board
x86       RAPL counters                                                            the CPU packages
========  ======================================================================  =====================

Counters are read before and after a block. Instruments that show momentary power are sampled by a thread, because a
frame may take longer than the time between two samples. Apart from the pipeline, no other code uses a thread.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from ...runtime.machine.system import ROOT, jetson, read
from .nvml import nvml
from .sensors import EnergyMeter, number
from .tegrastats import board_mw, board_rails, parse

#: Seconds between two samples of power; INA3221 averages over a similar time.
SAMPLE_S = 0.05


class Meter(ABC):
    """Joules between :meth:`start` and :meth:`stop`.

    Attributes:
        source: Description of the instrument; empty if there is none.
        scope: Description of the measured device.
        reason: Why there is no reading; empty if there is one.
    """

    source = ""
    scope = ""
    reason = ""

    @abstractmethod
    def start(self) -> None:
        """Begins a measurement."""

    @abstractmethod
    def stop(self) -> float | None:
        """Joules since :meth:`start`; None if the instrument failed."""

    def close(self) -> None:  # noqa: B027  # not every meter holds something
        """Releases the instrument. May be called twice."""


class NoMeter(Meter):
    """A meter without an instrument; ``reason`` says why there is none."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def start(self) -> None:
        pass

    def stop(self) -> float | None:
        return None


class RaplMeter(Meter):
    """The counters of the CPU packages, which include idle power and the work of other processes."""

    source, scope = "RAPL", "the whole CPU package"

    def __init__(self, counters: EnergyMeter) -> None:
        self._counters = counters
        self._before: list[int] | None = None

    def start(self) -> None:
        self._before = self._counters.read_uj()

    def stop(self) -> float | None:
        return self._counters.joules(self._before, self._counters.read_uj())


class NvmlMeter(Meter):
    """The GPU board's own energy counter (Volta and later)."""

    source, scope = "NVML", "the GPU board"

    def __init__(self, gpu: Any) -> None:
        self._gpu = gpu
        self._before: float | None = None

    def start(self) -> None:
        self._before = self._gpu.energy_j()

    def stop(self) -> float | None:
        after = self._gpu.energy_j()
        return None if after is None or self._before is None else after - self._before


class SampledMeter(Meter):
    """Integrates power over time by the trapezoidal rule.

    Args:
        watts: Reads the momentary power; returns None if that fails.
        source, scope: As in :class:`Meter`.
        close: Called once, when the meter is closed.
    """

    def __init__(
        self,
        watts: Callable[[], float | None],
        source: str,
        scope: str,
        every_s: float = SAMPLE_S,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.source, self.scope = source, scope
        self._watts, self._every_s, self._on_close = watts, every_s, close
        self._samples: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._samples = []
        self._over = threading.Event()
        self._take()
        self._thread = threading.Thread(target=self._run, args=(self._over,), name="seg-edge-power", daemon=True)
        self._thread.start()

    def stop(self) -> float | None:
        if self._thread is None:
            return None
        self._over.set()
        self._thread.join()
        self._thread = None
        self._take()
        return _integral(self._samples)

    def close(self) -> None:
        if self._thread is not None:
            self.stop()
        if self._on_close is not None:
            self._on_close()
            self._on_close = None

    def _run(self, over: threading.Event) -> None:
        while not over.wait(self._every_s):
            self._take()

    def _take(self) -> None:
        watts = self._watts()
        if watts is not None:
            self._samples.append((perf_counter(), watts))


def open_meter(device_kind: str = "CPU", root: Path = ROOT) -> Meter:
    """The meter for work on ``device_kind`` (an engine's: ``"CPU"``, ``"GPU"``, …) of this machine.

    Args:
        root: Folder with ``sys`` and ``proc``. Tools and libraries are only used with the real root.
    """
    if jetson(root) is not None or rails_mw(root):
        return _jetson_meter(root)
    if "CPU" not in device_kind.upper():
        return _gpu_meter() if root == ROOT else NoMeter("no energy counter")
    counters = EnergyMeter(root)
    return NoMeter(counters.reason) if counters.reason else RaplMeter(counters)


def rails_mw(root: Path = ROOT) -> dict[str, int]:
    """Power by rail of a Jetson board, milliwatts, from sysfs; empty on any other machine.

    Since L4T 34 the monitors are hwmon devices: INA3221 with a label, millivolts and milliamperes for each of three
    channels (further channels are sums of shunt voltages, not rails), on Thor also INA238 with microwatts of the input.
    Before, they were iio devices with milliwatts.
    """
    power_mw: dict[str, int] = {}
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        kind = read(chip / "name") or ""
        if kind == "ina3221":
            for channel in (1, 2, 3):
                label = read(chip / f"in{channel}_label")
                volts, amperes = number(chip / f"in{channel}_input"), number(chip / f"curr{channel}_input")
                if label and label != "NC" and volts is not None and amperes is not None:
                    power_mw[label] = volts * amperes // 1000
        elif kind == "ina238" and (microwatts := number(chip / "power1_input")) is not None:
            power_mw["VIN"] = microwatts // 1000
    for device in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio*device*")):
        for channel in (0, 1, 2):
            label, power = read(device / f"rail_name_{channel}"), number(device / f"in_power{channel}_input")
            if label and label != "NC" and power is not None:
                power_mw[label] = power
    return power_mw


def _jetson_meter(root: Path) -> Meter:
    rails = board_rails(rails_mw(root))
    if rails:
        return SampledMeter(lambda: _watts(board_mw(rails_mw(root))), f"rails {' + '.join(rails)}", "the whole board")
    tool = shutil.which("tegrastats") if root == ROOT else None
    if tool is None:
        return NoMeter("a Jetson, but its power rails can't be read in /sys and tegrastats is missing")
    stream = _Tegrastats(tool)
    return SampledMeter(stream.watts, "tegrastats", "the whole board", close=stream.close)


def _gpu_meter() -> Meter:
    gpu, reason = nvml()
    if gpu is None:
        return NoMeter(reason)
    if gpu.energy_j() is not None:
        return NvmlMeter(gpu)
    if gpu.watts() is not None:
        return SampledMeter(gpu.watts, "NVML", "the GPU board")
    return NoMeter("this GPU's driver tells neither energy nor power")


class _Tegrastats:
    """A running ``tegrastats``; a thread keeps its latest line."""

    def __init__(self, tool: str) -> None:
        self._latest: float | None = None
        self._process = subprocess.Popen(
            [tool, "--interval", "100"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(target=self._read, name="seg-edge-tegrastats", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = parse(line)
            self._latest = _watts(said.board_mw) if said else self._latest

    def watts(self) -> float | None:
        return self._latest

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def _integral(samples: list[tuple[float, float]]) -> float | None:
    if len(samples) < 2:
        return None
    return sum((b - a) * (p + q) / 2 for (a, p), (b, q) in zip(samples, samples[1:], strict=False))
