"""How the C library handles memory that a training frees."""

from __future__ import annotations

import ctypes
import platform

#: Of glibc's ``malloc.h``.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Makes the C library keep freed memory for reuse.

    glibc hands large blocks back to the system at once, and a training step asks for the same ones again: the system then
    clears gigabytes per step, page by page. The process's memory stays at its peak from here on; its children inherit that.

    Returns:
        Whether the C library is glibc and accepted the setting.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
