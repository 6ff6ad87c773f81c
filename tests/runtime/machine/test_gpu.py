"""GPU probes on recorded texts, on a stand-in driver library, and on modules that break while they are imported."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from seg_edge.runtime.machine import gpu as gpu_support
from seg_edge.runtime.machine.gpu import cuda, gpus, kernel_driver, libcuda, module_state, parse_nvidia_smi, torch_build

SMI = """\
NVIDIA GeForce RTX 4070, 560.35.03, 12282, 8.9, 200.00, 41
Quadro P600, 560.35.03, 2048, 6.1, [N/A], 38
"""


def test_nvidia_smi():
    first, second = parse_nvidia_smi(SMI)
    assert first == {
        "name": "NVIDIA GeForce RTX 4070",
        "driver": "560.35.03",
        "memory_bytes": 12282 * 2**20,
        "compute_capability": "8.9",
        "power_limit_w": 200.0,
        "temperature_c": 41.0,
    }
    assert (second["name"], second["power_limit_w"]) == ("Quadro P600", None)


def test_nvidia_smi_that_has_lost_its_driver():
    assert parse_nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n") == []


def test_an_old_driver_is_asked_again_for_less(tmp_path, monkeypatch):
    script = tmp_path / "nvidia-smi"
    script.write_text(
        '#!/bin/sh\ncase "$1" in *compute_cap*) echo "Field compute_cap is not a valid field to query."; exit 2;; esac\n'
        'echo "Tesla K80, 470.256.02, 11441"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (row,) = gpus(tmp_path)
    assert (row["name"], row["memory_bytes"], row["compute_capability"]) == ("Tesla K80", 11441 * 2**20, None)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6 22:20:39 UTC 2023\n", "535.54.03"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n", "570.86.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain)\n", "540.4.0"),
        ("", None),
    ],
)
def test_kernel_driver(tmp_path, text, version):
    file = tmp_path / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert kernel_driver(tmp_path) == version


def test_no_driver_library():
    found = libcuda("libno-such-library-here.so.1")
    assert (found["devices"], found["version"]) == ([], None)
    assert "libno-such-library-here.so.1 is not installed" in found["reason"]


DRIVER = """
#include <stddef.h>
#include <string.h>
int cuDriverGetVersion(int *v) { *v = 12060; return 0; }
int cuInit(unsigned f) { return INIT; }
int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { strncpy(s, d ? "Second" : "Orin", n); return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 : a == 76 ? 7 : -1; return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = (size_t)7 << 30; return 0; }
int cuGetErrorName(int e, const char **s) { *s = "CUDA_ERROR_NO_DEVICE"; return 0; }
"""


def driver(folder, init=0, count=2):
    """A driver library with the real one's interface, compiled here."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = folder / "driver.c", folder / f"libfake{init}{count}.so"
    source.write_text(DRIVER)
    subprocess.run([compiler, "-shared", "-fPIC", f"-DINIT={init}", f"-DCOUNT={count}", "-o", library, source], check=True)
    return str(library)


def test_the_driver_library_is_asked_where_nvidia_smi_is_missing(tmp_path, monkeypatch):
    name = driver(tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(gpu_support, "libcuda", lambda: libcuda(name))
    first, second = gpus(tmp_path)
    assert (first["name"], second["name"]) == ("Orin", "Second")
    assert (first["compute_capability"], first["memory_bytes"]) == ("8.7", 7 << 30)
    assert cuda(tmp_path) == {"available": True, "reason": "", "driver": None, "cuda": "12.6"}


def test_a_driver_library_without_a_gpu(tmp_path):
    failed, empty = libcuda(driver(tmp_path, init=100)), libcuda(driver(tmp_path, count=0))
    assert failed["devices"] == empty["devices"] == []
    assert "CUDA_ERROR_NO_DEVICE" in failed["reason"]
    assert "no GPU" in empty["reason"]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that installs a module, for this process and its children."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def add(name: str, body: str) -> None:
        (tmp_path / f"{name}.py").write_text(body)

    return add


def test_module_that_works(module):
    module("good_module_here", "print('banner')\n__version__ = '10.3.0'\n")
    expected = {"module": "good_module_here", "available": True, "version": "10.3.0", "reason": ""}
    assert module_state("good_module_here") == expected
    assert "good_module_here" not in sys.modules


def test_module_that_lacks_its_library(module):
    module("bad_module_here", "raise ImportError('libnvinfer.so.10: cannot open shared object file')\n")
    state = module_state("bad_module_here")
    assert (state["available"], state["version"]) == (False, None)
    assert state["reason"].endswith("ImportError: libnvinfer.so.10: cannot open shared object file")


def test_module_that_crashes_takes_only_its_own_process_down(module):
    module("crash_module_here", "import os\nos.abort()\n")
    state = module_state("crash_module_here")
    assert not state["available"]
    assert state["reason"]


def test_module_that_is_not_there():
    assert module_state("no_module_here")["reason"] == "not installed; pip install no_module_here"


def test_torch_is_read_and_not_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "version.py").write_text(
        "from typing import Optional\n__version__ = '2.9.0+cu126'\ncuda: Optional[str] = '12.6'\n"
    )
    assert torch_build() == {"version": "2.9.0+cu126", "cuda": "12.6"}
    (package / "version.py").write_text("__version__ = '2.9.0+cpu'\ncuda: Optional[str] = None\n")
    assert torch_build() == {"version": "2.9.0+cpu", "cuda": None}
