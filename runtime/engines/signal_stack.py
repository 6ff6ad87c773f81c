"""Protects the calling thread's alternate signal stack from libraries that replace it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SS_DISABLE = 2


class _Stack(ctypes.Structure):
    """``stack_t`` of sigaltstack(2) on Linux."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int | None, int]:
    """Address and size of the calling thread's alternate signal stack; (None, 0) if there is none."""
    stack = _exchange(None)
    return (None, 0) if stack.flags & _SS_DISABLE else (stack.sp, stack.size)


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Restores the thread's alternate signal stack at the end of the block.

    OpenVINO's CPU plugin installs its own stack when it is loaded, because Intel AMX needs a large one, and frees it
    with the last model. If models are freed in another order or on another thread, the thread keeps a pointer to freed
    memory. The next signal that Python handles (Ctrl-C, SIGTERM, the end of a loader process) then kills the process
    with SIGSEGV.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before = _exchange(None)
    try:
        yield
    finally:
        _exchange(before)


def _exchange(new: _Stack | None) -> _Stack:
    old = _Stack()
    sigaltstack = ctypes.CDLL(None, use_errno=True).sigaltstack
    if sigaltstack(ctypes.byref(new) if new is not None else None, ctypes.byref(old)):
        code = ctypes.get_errno()
        raise OSError(code, f"sigaltstack: {os.strerror(code)}")
    return old
