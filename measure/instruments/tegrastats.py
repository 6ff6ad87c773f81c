"""Parses lines of ``tegrastats``, NVIDIA's monitor on Jetson boards, and computes the total power of a board.

The format differs between boards: rails with and without ``mW``; a GPU clock that is bare, in brackets or missing; CPUs
that are off; zones that read -256 °C while powered down; lines with and without a date in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Lower readings are those of zones that are powered down, -256 °C.
_OFF_C = -100.0
# Zones inside the processor. PMIC is a constant on most boards (50 or 100 °C); Tboard and Tdiode are on the carrier
# board.
_CPU_ZONES = re.compile(r"(?:[abm]?cpu|gpu|cv|soc|tj|thermal|ao|aux|pll)\d*", re.IGNORECASE)

_MEMORY = re.compile(r"\b(RAM|SWAP) (\d+)/(\d+)MB")
_CPU = re.compile(r"\bCPU \[([^\]]*)\]")
_CORE = re.compile(r"(\d+)%(?:@(\d+))?")
_GPU = re.compile(r"\bGR3D_FREQ (\d+)%(?:@\[?([\d,]+)\]?)?")
_EMC = re.compile(r"\bEMC_FREQ (\d+)%")
_ZONE = re.compile(r"\b([A-Za-z][\w-]*)@(-?\d+(?:\.\d+)?)C\b")
# Present / average, on some boards / peak. Names have no lower case, so "RAM 1/2MB" and "lfb 3x4MB" don't match.
_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (\d+)(mW)?/(\d+)(?:mW)?(?:/\d+(?:mW)?)?(?=\s|$)")

#: Rails with the total input power, of which the first that a board has is used: Thor, Orin Nano / NX and Xavier NX,
#: Nano.
_INPUT_RAILS = ("VIN", "VDD_IN", "POM_5V_IN")
#: Boards without such a rail: rails that don't feed each other. On the AGX Orin, VIN_SYS_5V0 feeds VDDQ_VDD2_1V8AO.
_SUMS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),  # Thor, its input monitor left out by a carrier board
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),  # AGX Xavier
)


@dataclass(frozen=True)
class TegraLine:
    """One line. Missing values are None or empty.

    Attributes:
        ram_bytes: Memory in use and in all.
        cpus: Load in percent and clock in MHz of each CPU; None for a CPU that is off. The clock is None if missing.
        gpu_percent: Load of the GPU.
        gpu_mhz: Clock of each part of the GPU.
        emc_percent: Load of the memory controller.
        zones_c: Temperature by zone, degrees Celsius; zones that are powered down are left out.
        rails_mw: Momentary power by rail, milliwatts.
    """

    ram_bytes: tuple[int, int] | None = None
    cpus: tuple[tuple[int, int | None] | None, ...] = ()
    gpu_percent: int | None = None
    gpu_mhz: tuple[int, ...] = ()
    emc_percent: int | None = None
    zones_c: Mapping[str, float] = field(default_factory=dict)
    rails_mw: Mapping[str, int] = field(default_factory=dict)

    @property
    def board_mw(self) -> int | None:
        """See :func:`board_mw`."""
        return board_mw(self.rails_mw)

    @property
    def hottest_c(self) -> float | None:
        """The hottest zone of the processor."""
        return max((value for zone, value in self.zones_c.items() if _CPU_ZONES.fullmatch(zone)), default=None)


def parse(line: str) -> TegraLine | None:
    """Parses one line of ``tegrastats``; None for other lines, such as warnings and empty lines."""
    memory = {kind: (int(used) << 20, int(total) << 20) for kind, used, total in _MEMORY.findall(line)}
    if "RAM" not in memory:
        return None
    cpu, gpu, emc = _CPU.search(line), _GPU.search(line), _EMC.search(line)
    return TegraLine(
        ram_bytes=memory["RAM"],
        cpus=tuple(_core(text) for text in cpu[1].split(",")) if cpu and cpu[1] else (),
        gpu_percent=int(gpu[1]) if gpu else None,
        gpu_mhz=tuple(int(part) for part in gpu[2].split(",") if part) if gpu and gpu[2] else (),
        emc_percent=int(emc[1]) if emc else None,
        zones_c={zone: degrees for zone, text in _ZONE.findall(line) if (degrees := float(text)) > _OFF_C},
        rails_mw={name: int(now) for name, now, _, _ in _RAIL.findall(line) if name not in ("RAM", "SWAP", "IRAM")},
    )


def board_mw(rails_mw: Mapping[str, int]) -> int | None:
    """Power of the whole board: its input rail if there is one, else the sum of rails that don't feed each other.

    None for the rails of an unknown board, because their sum might count some power twice.
    """
    for name in _INPUT_RAILS:
        if name in rails_mw:
            return rails_mw[name]
    for names in _SUMS:
        if rails_mw.keys() >= set(names):
            return sum(rails_mw[name] for name in names)
    return None


def board_rails(names: Iterable[str]) -> tuple[str, ...]:
    """The rails that :func:`board_mw` uses; empty for an unknown board."""
    have = set(names)
    for name in _INPUT_RAILS:
        if name in have:
            return (name,)
    return next((rails for rails in _SUMS if have >= set(rails)), ())


def _core(text: str) -> tuple[int, int | None] | None:
    match = _CORE.fullmatch(text.strip())
    return (int(match[1]), int(match[2]) if match[2] else None) if match else None
