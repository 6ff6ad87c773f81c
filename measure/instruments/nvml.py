"""The first NVIDIA GPU through NVML: energy, power, temperature, clock and reasons of throttling.

NVIDIA's package nvidia-ml-py (module ``pynvml``, one file) has two advantages over the command ``nvidia-smi``: a
reading takes microseconds instead of a tenth of a second, and the energy counter is available.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Bits of nvmlDeviceGetCurrentClocksThrottleReasons for throttling, without idle clocks and user settings.
REASONS = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "heat (software)", 0x40: "heat (hardware)", 0x80: "power brake"}


class Gpu:
    """One GPU. Values that it doesn't report are None.

    Args:
        module: ``pynvml``, initialized.
        index: Which GPU.
    """

    def __init__(self, module: Any, index: int = 0) -> None:
        self._nvml = module
        self._handle = module.nvmlDeviceGetHandleByIndex(index)

    def energy_j(self) -> float | None:
        """Joules since the driver was loaded."""
        return self._ask("nvmlDeviceGetTotalEnergyConsumption", 1e-3)

    def watts(self) -> float | None:
        return self._ask("nvmlDeviceGetPowerUsage", 1e-3)

    def temperature_c(self) -> float | None:
        return self._ask("nvmlDeviceGetTemperature", 1.0, self._nvml.NVML_TEMPERATURE_GPU)

    def clock_mhz(self) -> float | None:
        return self._ask("nvmlDeviceGetClockInfo", 1.0, self._nvml.NVML_CLOCK_SM)

    def throttled(self) -> list[str] | None:
        """Reasons of throttling at this moment; empty without throttling."""
        bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", 1)
        return None if bits is None else [text for bit, text in REASONS.items() if int(bits) & bit]

    def _ask(self, name: str, scale: float, *words: Any) -> float | None:
        try:
            return float(getattr(self._nvml, name)(self._handle, *words)) * scale
        except self._nvml.NVMLError:
            return None


def nvml() -> tuple[Gpu | None, str]:
    """The first GPU and an empty text, or None and the reason."""
    try:
        module: Any = import_module("pynvml")
    except ImportError:
        return None, "the package nvidia-ml-py is missing; pip install nvidia-ml-py"
    try:
        module.nvmlInit()
        return Gpu(module), ""
    except module.NVMLError as error:
        return None, f"NVML can't be started ({error})"
