"""The pool behind the kernels: the same bytes for any number of threads; forks, exits, signals, many callers at once."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from seg_edge.runtime.frame import kernels

RNG = np.random.default_rng(3)


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


FRAME, PALETTE = noise(480, 640, 3), noise(5, 3)
LOGITS = np.ascontiguousarray(RNG.normal(size=(5, 30, 40)).repeat(4, 1).repeat(4, 2), np.float32)

START = """
import os, sys, threading, time
import numpy as np
from seg_edge.runtime.frame import kernels
rng = np.random.default_rng(0)
logits = rng.normal(size=(5, 60, 80)).astype(np.float32)
def mask(threads): return kernels.upsample_argmax(logits, (480, 640), threads=threads)
def workers(): return len(os.listdir("/proc/self/task"))
expected, before = mask(1), workers()
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", START + code],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def run(threads: int) -> list[Any]:
    mask = np.empty(FRAME.shape[:2], np.uint8)
    overlay = kernels.upsample_overlay(LOGITS, FRAME, PALETTE, [0.5, 0, 1, 0.2, 0.3], mask_out=mask, threads=threads)
    lined = kernels.blend(mask, FRAME, PALETTE, 0.4, line_palette_bgr=PALETTE, threads=threads)
    small = kernels.resize(FRAME, (300, 401), threads=threads)
    return [kernels.upsample_argmax(LOGITS, FRAME.shape[:2], threads=threads), mask, overlay, lined, small]


@pytest.mark.parametrize("threads", [2, 3, 5, 64])
def test_the_number_of_threads_does_not_show(threads: int) -> None:
    for ours, single in zip(run(threads), run(1), strict=True):
        np.testing.assert_array_equal(ours, single)


def test_callers_at_once_all_get_their_own_result() -> None:
    """One call has the pool, the others work alone."""
    inputs = [np.roll(LOGITS, shift, axis=0) for shift in range(4)] * 6
    expected = [kernels.upsample_argmax(logits, (480, 640), threads=1) for logits in inputs]
    with ThreadPoolExecutor(4) as executor:
        results = executor.map(lambda logits: kernels.upsample_argmax(logits, (480, 640), threads=3), inputs)
        for ours, single in zip(results, expected, strict=True):
            np.testing.assert_array_equal(ours, single)


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_threads_start_when_needed_and_stay() -> None:
    done = python("mask(3); first = workers(); [mask(3) for _ in range(20)]; print(first - before, workers() - before)")
    assert (done.stdout, done.stderr) == ("2 2\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_a_forked_child_starts_its_own() -> None:
    code = """
assert (mask(3) == expected).all()
pid = os.fork()
if pid == 0:
    alone = workers()
    same = all((mask(3) == expected).all() for _ in range(5))
    os._exit(7 if same and alone == 1 and workers() == 3 else 1)
status = os.waitpid(pid, 0)[1]
print(os.waitstatus_to_exitcode(status), (mask(3) == expected).all())
"""
    done = python(code)
    assert (done.stdout, done.stderr) == ("7 True\n", "")


def test_forks_while_another_thread_is_in_a_kernel() -> None:
    code = """
stop = threading.Event()
def load():
    while not stop.is_set(): mask(3)
thread = threading.Thread(target=load); thread.start()
codes = []
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if (mask(3) == expected).all() else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
stop.set(); thread.join()
print(set(codes))
"""
    done = python(code)
    assert (done.stdout, done.stderr) == ("{0}\n", "")


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "threading.Thread(target=mask, args=(3,), daemon=True).start()"])
def test_sleeping_threads_do_not_keep_the_process(end: str) -> None:
    done = python(f"mask(4)\n{end}")
    assert (done.returncode, done.stderr) == (0, "")


def test_signals_go_to_the_programs_own_threads() -> None:
    code = """
import signal
mask(4)
for thread in os.listdir("/proc/self/task"):
    if int(thread) != os.getpid():
        blocked = next(line for line in open(f"/proc/self/task/{thread}/status") if line.startswith("SigBlk"))
        print(bool(int(blocked.split()[1], 16) >> signal.SIGINT - 1 & 1))
"""
    done = python(code, OPENBLAS_NUM_THREADS="1")
    assert (set(done.stdout.split()), done.stderr) == ({"True"}, "")


def test_the_default_is_settable() -> None:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if "SEG_EDGE_THREADS" not in os.environ:
        assert kernels.threads() == min(cores, 4)
    before = kernels.threads()
    kernels.set_threads(7)
    try:
        assert kernels.threads() == 7
    finally:
        kernels.set_threads(None)
    assert kernels.threads() == before


def test_the_environment_sets_the_default() -> None:
    assert python("print(kernels.threads())", SEG_EDGE_THREADS="3").stdout == "3\n"
    done = python("", SEG_EDGE_THREADS="many")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "seg_edge.core.errors.InputError: SEG_EDGE_THREADS: expected a number of threads, 1 to 64, got 'many'; unset it"
    )
