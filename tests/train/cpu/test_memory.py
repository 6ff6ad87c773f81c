import platform
import subprocess
import sys

import pytest

#: Prints the MiB that the process still has after it freed a block of 256.
PROGRAM = """
import ctypes
import mmap
import sys
from seg_edge.train.cpu.memory import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE / 2**20

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resident()
block = libc.malloc(2**28)
ctypes.memset(block, 1, 2**28)
libc.free(block)
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's switch")
@pytest.mark.parametrize(("way", "kept"), [("keep", True), ("leave", False)])
def test_freed_memory_is_kept(way, kept):
    done = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True)
    assert (float(done.stdout) > 200) == kept


def test_other_libraries_are_left_alone(monkeypatch):
    from seg_edge.train.cpu.memory import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
