"""NVIDIA GPUs, their driver, and the Python modules that TensorRT needs. None of them is imported into this process."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .system import ROOT, read, run

# CUdevice_attribute, cuda.h
_MAJOR, _MINOR = 75, 76
_QUERY = ("name", "driver_version", "memory.total", "compute_cap", "power.limit", "temperature.gpu")
# Supported by every driver; compute_cap needs driver 495 or later.
_OLD_QUERY = ("name", "driver_version", "memory.total")

#: Python modules of the GPU engines → how to install them.
MODULES = {
    "tensorrt": "it comes with JetPack; elsewhere: pip install 'seg-edge[tensorrt]' (libraries from NVIDIA's index)",
    "tensorrt_rtx": "pip install 'seg-edge[build]' (to run engines too: 'seg-edge[rtx]')",
    "pycuda": "pip install pycuda (it compiles: the CUDA toolkit and a C++ compiler must be there)",
}


def gpus(root: Path = ROOT) -> list[dict[str, Any]]:
    """The CUDA GPUs: name, driver, memory_bytes, compute_capability, power_limit_w, temperature_c; null where unknown.

    The values come from ``nvidia-smi``, or from the driver library on boards without ``nvidia-smi`` (Jetson).
    """
    for query in (_QUERY, _OLD_QUERY):
        said = run(["nvidia-smi", f"--query-gpu={','.join(query)}", "--format=csv,noheader,nounits"])
        if said and (rows := parse_nvidia_smi(said, query)):
            return rows
    driver = kernel_driver(root)
    return [row | {"driver": driver} for row in libcuda()["devices"]]


def parse_nvidia_smi(text: str, query: tuple[str, ...] = _QUERY) -> list[dict[str, Any]]:
    """Parses ``nvidia-smi --query-gpu=… --format=csv,noheader,nounits``; skips lines that are not GPUs."""
    gpus_found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(query):
            continue
        row = dict(zip(query, cells, strict=True))
        memory = _number(row["memory.total"])
        gpus_found.append(
            {
                "name": row["name"],
                "driver": row["driver_version"],
                "memory_bytes": int(memory * 2**20) if memory is not None else None,
                "compute_capability": cap if _number(cap := row.get("compute_cap", "")) is not None else None,
                "power_limit_w": _number(row.get("power.limit", "")),
                "temperature_c": _number(row.get("temperature.gpu", "")),
            }
        )
    return gpus_found


def cuda(root: Path = ROOT) -> dict[str, Any]:
    """The driver: ``driver`` (version), ``cuda`` (newest supported version), ``available``, ``reason`` if not."""
    library = libcuda()
    return {
        "available": bool(library["devices"]),
        "reason": library["reason"],
        "driver": kernel_driver(root),
        "cuda": library["version"],
    }


def kernel_driver(root: Path = ROOT) -> str | None:
    """Version of the loaded NVIDIA kernel module; None if none is loaded."""
    text = read(root / "proc/driver/nvidia/version") or ""
    match = re.search(r"Kernel Module(?: for \S+)?\s+(\d+\.\d+(?:\.\d+)?)", text)
    return match[1] if match else None


def libcuda(name: str = "libcuda.so.1") -> dict[str, Any]:
    """Queries the driver library: ``version``, ``devices`` (rows as in :func:`gpus`), ``reason`` if there are none."""
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return _no_devices(f"the NVIDIA driver's library {name} is not installed")
    version = ctypes.c_int()
    known = library.cuDriverGetVersion(ctypes.byref(version)) == 0
    text = f"{version.value // 1000}.{version.value % 1000 // 10}" if known else None
    if code := library.cuInit(0):
        return _no_devices(f"{name} is there, but CUDA can't be started (cuInit: {_error_name(library, code)})", text)
    count = ctypes.c_int()
    if library.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return _no_devices(f"{name} is there, but finds no GPU", text)
    rows = [row for row in (_device(library, i) for i in range(count.value)) if row is not None]
    return {"version": text, "devices": rows, "reason": ""}


def module_state(name: str) -> dict[str, Any]:
    """Whether a Python module can be imported: ``module``, ``available``, ``version``, ``reason``.

    The import runs in another process, because incompatible native libraries may crash the process.
    """
    state: dict[str, Any] = {"module": name, "available": False, "version": None}
    try:
        installed = find_spec(name) is not None
    except (ImportError, ValueError):
        installed = False
    if not installed:
        return state | {"reason": f"not installed; {MODULES.get(name, f'pip install {name}')}"}
    # Only pycuda's driver module links to CUDA; `import pycuda` alone proves nothing.
    target, version = (f"{name}.driver", "VERSION_TEXT") if name == "pycuda" else (name, "__version__")
    code = f"import {name}, {target}; print(getattr({name}, {version!r}, ''))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return state | {"reason": f"could not be tried ({type(error).__name__})"}
    if done.returncode == 0:
        words = done.stdout.split()
        return state | {"available": True, "version": words[-1] if words else None, "reason": ""}
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    why = lines[-1][:200] if lines else f"it ended with status {done.returncode}"
    return state | {"reason": f"installed, but can't be imported: {why}"}


def torch_build() -> dict[str, Any] | None:
    """Version of the installed torch, and its CUDA version; None without torch. Torch is not imported."""
    try:
        spec = find_spec("torch")
    except (ImportError, ValueError):
        return None
    text = read(Path(spec.origin).parent / "version.py") if spec and spec.origin else None
    if not text:
        return None
    version, built = (re.search(rf"^{key}\b[^=]*=\s*'([^']+)'", text, re.MULTILINE) for key in ("__version__", "cuda"))
    return {"version": version[1] if version else None, "cuda": built[1] if built else None}


def _device(library: Any, index: int) -> dict[str, Any] | None:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    if library.cuDeviceGet(ctypes.byref(device), index) or library.cuDeviceGetName(name, 256, device):
        return None
    values = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        values.append(None if library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device) else value.value)
    memory = ctypes.c_size_t()
    unknown = library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return {
        "name": name.value.decode("utf-8", "replace"),
        "driver": None,
        "memory_bytes": None if unknown else memory.value,
        "compute_capability": None if None in values else f"{values[0]}.{values[1]}",
        "power_limit_w": None,
        "temperature_c": None,
    }


def _error_name(library: Any, code: int) -> str:
    text = ctypes.c_char_p()
    if library.cuGetErrorName(code, ctypes.byref(text)) == 0 and text.value:
        return text.value.decode("ascii", "replace")
    return f"error {code}"


def _no_devices(reason: str, version: str | None = None) -> dict[str, Any]:
    return {"version": version, "devices": [], "reason": reason}


def _number(text: str) -> float | None:
    # nvidia-smi prints "[N/A]" or "[Not Supported]" for sensors that a board lacks.
    try:
        return float(text)
    except ValueError:
        return None
