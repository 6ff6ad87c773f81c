"""Which instruction set runs, and that a kernel lets go of the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import kernels

ISAS = kernels.available_isas()
RNG = np.random.default_rng(7)


def test_the_gil_is_released() -> None:
    # With a switch interval this long, the other thread can count only while a kernel lets go of the interpreter.
    logits = RNG.normal(size=(256, 60, 80)).astype(np.float32)
    out = np.empty((900, 1200), np.uint8)
    count, stop = 0, threading.Event()

    def counter() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)
    thread = threading.Thread(target=counter)
    try:
        thread.start()
        before = count
        _kernels.upsample_argmax(logits, out, "scalar")
        after = count
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        thread.join()
    assert after > before


def import_with(isa: str) -> subprocess.CompletedProcess[str]:
    code = "from seg_edge.runtime.frame import kernels; print(kernels.isa())"
    environment = {**os.environ, "SEG_EDGE_ISA": isa}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("isa", ISAS)
def test_the_environment_forces_an_instruction_set(isa: str) -> None:
    assert import_with(isa).stdout.strip() == isa


def test_an_unknown_instruction_set_is_an_error_in_one_line() -> None:
    result = import_with("mmx")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "seg_edge.core.errors.InputError: SEG_EDGE_ISA: 'mmx' is an instruction set that this build doesn't have; "
        f"choose one of {', '.join(ISAS)}, or unset it"
    )


def test_the_fastest_instruction_set_is_the_default() -> None:
    assert ISAS[0] == "scalar"
    assert kernels.isa() == (os.environ.get("SEG_EDGE_ISA") or ISAS[-1])
