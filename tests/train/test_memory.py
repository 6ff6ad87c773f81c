import platform
import subprocess
import sys

import pytest

#: MiB that the process still has after it freed a block of 256, by which of glibc's ways the block came.
PROGRAM = """
import sys
import torch
from seg_edge.train.memory import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resident()
block = torch.ones(64 * 2**20)
del block
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's switch")
@pytest.mark.parametrize(("way", "kept"), [("keep", True), ("leave", False)])
def test_freed_memory_is_kept(way, kept):
    done = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True)
    assert (float(done.stdout) > 200) == kept


def test_other_libraries_are_left_alone(monkeypatch):
    from seg_edge.train.memory import keep_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
