"""What the allocator does with freed buffers."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from seg_edge.train import memory

# Page faults of the second to tenth of ten 32 MB buffers. Another process, because the setting can't be taken back.
PROGRAM = """
import resource, sys
from seg_edge.train.memory import keep_freed_memory
taken = keep_freed_memory() if sys.argv[1] == "keep" else None
def use(): return len(bytearray(b"x") * (32 << 20))
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(9): use()
print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(mode: str) -> tuple[str, int]:
    words = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True).stdout.split()
    return words[0], int(words[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")
def test_freed_buffers_are_used_again():
    _, without = run("leave")
    taken, kept = run("keep")
    assert taken == "True"
    assert without > 1000  # 9 x 32 MB in pages, 4 KB each or larger
    assert kept < without / 20


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False


def test_c_library_without_the_call(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _name: object())
    assert memory.keep_freed_memory() is False
