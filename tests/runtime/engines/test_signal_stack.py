"""A library may not leave the thread with a signal stack that is gone: the next Ctrl-C would kill the process."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from seg_edge.runtime.engines import engines, open_engine
from seg_edge.runtime.engines.signal_stack import kept_signal_stack, signal_stack

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sigaltstack as Linux lays it out")

CTRL_C = """
import gc, os, signal, sys
from seg_edge.runtime.engines import open_engine

def interrupt(number, frame):
    print("handled", flush=True)

signal.signal(signal.SIGINT, interrupt)
many = [open_engine(sys.argv[1], sys.argv[2]) for _ in range(3)]
while many:
    many.pop(0).close()  # in the order they were made
    gc.collect()
    junk = [bytearray(64 << 10) for _ in range(64)]  # what was freed is used again
    del junk
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("name", [info.name for info in engines(".onnx") if info.available])
def test_ctrl_c_after_models_were_closed(name, tiny_model):
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C, str(tiny_model), name], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "handled\n" * 3), done.stderr


@pytest.mark.parametrize("name", [info.name for info in engines(".onnx") if info.available])
def test_opening_an_engine_leaves_the_stack_alone(name, tiny_model):
    before = signal_stack()
    with open_engine(tiny_model, name):
        assert signal_stack() == before
    assert signal_stack() == before


def test_a_stack_set_inside_is_replaced_at_the_end():
    class Stack(ctypes.Structure):
        _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    memory = ctypes.create_string_buffer(1 << 16)
    before = signal_stack()

    def replace() -> None:
        with kept_signal_stack():
            stack = Stack(ctypes.addressof(memory), 0, 1 << 16)
            assert ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None) == 0
            assert signal_stack() == (ctypes.addressof(memory), 1 << 16)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace()
    assert signal_stack() == before
