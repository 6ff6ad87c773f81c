"""Information about this machine: system, processor, memory, Jetson board and power mode. Reads files and runs tools.

Every probe returns None if its file or tool is missing, so that the report works on any machine.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ...core.cpu import cpu_quota, resolve_threads

ROOT = Path("/")
#: Distributions whose versions matter for measurements or for the features that are available.
PACKAGES = (
    "seg-edge", "numpy", "opencv-python", "opencv-python-headless", "opencv-contrib-python", "av", "onnxruntime",
    "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx", "pycuda", "torch", "torchvision",
    "lightning", "onnx", "onnxsim",
)  # fmt: skip
# Major L4T release → major JetPack release, for boards without the nvidia-jetpack package.
_JETPACK = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7}


def machine(root: Path = ROOT) -> dict[str, Any]:
    """The ``machine`` part of ``bench --json`` and ``doctor --json``.

    Args:
        root: Folder that contains ``proc``, ``sys`` and ``etc``.

    Returns:
        os, kernel, arch, cpu, cores (physical cores that this process may use, within its quota), logical_cpus (of the
        machine), cpu_quota (CPUs' time that a container gives; null without a limit),
        memory_bytes, governor and clocks_locked of the CPU, and jetson (null on other machines).
    """
    return {
        "os": os_name(root),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "cpu": cpu_name(root),
        "cores": resolve_threads(None),
        "logical_cpus": os.cpu_count() or 1,
        "cpu_quota": cpu_quota(root),
        "memory_bytes": memory_bytes(root),
        **cpu_clocks(root),
        "jetson": jetson(root),
    }


def packages(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of the installed distributions by name. The distributions are not imported."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def os_name(root: Path = ROOT) -> str:
    """Name of the distribution, e.g. ``"Debian GNU/Linux 12 (bookworm)"``; else name and release of the system."""
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', read(root / "etc/os-release") or "", re.MULTILINE)
    return match[1] if match else f"{platform.system()} {platform.release()}"


def cpu_name(root: Path = ROOT) -> str | None:
    """Name of the processor; implementer and part number where the kernel states no name, as on most ARM boards."""
    text = read(root / "proc/cpuinfo") or ""
    for key in ("model name", "Hardware", "Processor"):
        if match := re.search(rf"^{key}\s*:\s*(.+)$", text, re.MULTILINE):
            return match[1].strip()
    ids = [re.search(rf"^CPU {key}\s*:\s*(\S+)", text, re.MULTILINE) for key in ("implementer", "part")]
    if all(ids):
        return f"ARM, implementer {ids[0][1]}, part {ids[1][1]}"  # type: ignore[index]  # both matched
    return platform.processor() or None


def memory_bytes(root: Path = ROOT) -> int | None:
    """Physical memory in bytes."""
    match = re.search(r"^MemTotal:\s*(\d+) kB", read(root / "proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def cpu_clocks(root: Path = ROOT) -> dict[str, Any]:
    """The frequency governor, and whether every CPU is locked to one frequency (as ``jetson_clocks`` does).

    Both are null where the system does not expose its clocks, as in most virtual machines.
    """
    folders = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    governors = {read(folder / "scaling_governor") for folder in folders} - {None}
    limits = [(read(folder / "scaling_min_freq"), read(folder / "scaling_max_freq")) for folder in folders]
    known = [pair for pair in limits if None not in pair]
    return {
        "governor": ", ".join(sorted(str(name) for name in governors)) or None,
        "clocks_locked": all(low == high for low, high in known) if known else None,
    }


def is_jetson(root: Path = ROOT) -> bool:
    """Whether this machine is a Jetson."""
    model = read(root / "proc/device-tree/model") or ""
    return parse_l4t(read(root / "etc/nv_tegra_release") or "") is not None or "jetson" in model.lower()


def jetson(root: Path = ROOT) -> dict[str, Any] | None:
    """Board, L4T and JetPack release, power mode, path of ``jetson_clocks``; None on any other machine."""
    model = (read(root / "proc/device-tree/model") or "").strip("\0 ") or None
    l4t = parse_l4t(read(root / "etc/nv_tegra_release") or "")
    if not is_jetson(root):
        return None
    said = run(["nvpmodel", "-q"])
    return {
        "model": model,
        "l4t": l4t,
        "jetpack": run(["dpkg-query", "-W", "-f=${Version}", "nvidia-jetpack"]) or _jetpack_of(l4t),
        "power_mode": parse_nvpmodel(said) if said else None,
        "jetson_clocks": shutil.which("jetson_clocks"),
    }


def parse_l4t(text: str) -> str | None:
    """Parses ``/etc/nv_tegra_release``: ``# R36 (release), REVISION: 4.3, …`` → ``"36.4.3"``."""
    match = re.search(r"R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else None


def parse_nvpmodel(text: str) -> str | None:
    """Parses the power mode from the output of ``nvpmodel -q``, e.g. ``"MODE_15W"``; ignores warnings around it."""
    match = re.search(r"^\s*NV Power Mode\s*:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def summary(about: dict[str, Any]) -> str:
    """A one-line summary, e.g. ``"AMD EPYC, 2 cores, 24 GB, Debian GNU/Linux 12 (bookworm), x86_64"``."""
    board = about["jetson"]
    memory = about["memory_bytes"]
    parts = [
        board["model"] if board else None,
        f"power mode {board['power_mode']}" if board and board["power_mode"] else None,
        about["cpu"],
        f"{about['cores']} core{'s' if about['cores'] != 1 else ''}",
        f"{memory / 2**30:.0f} GB" if memory else None,
        about["os"],
        about["arch"],
    ]
    return ", ".join(part for part in parts if part)


def read(path: Path) -> str | None:
    """The text of a small file, stripped; None if the file can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def run(command: Sequence[str], timeout_s: float = 10.0) -> str | None:
    """Standard output of a tool, stripped; None if the tool is missing, fails, times out or prints nothing."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", timeout=timeout_s, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout.strip() or None) if done.returncode == 0 else None


def works(command: Sequence[str], timeout_s: float = 10.0) -> bool:
    """Whether a tool is installed and exits with status 0."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _jetpack_of(l4t: str | None) -> str | None:
    major = _JETPACK.get(int(l4t.split(".")[0])) if l4t else None
    return f"{major}.x" if major else None
