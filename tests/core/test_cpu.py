from __future__ import annotations

import os
import subprocess
import sys

import pytest

from seg_edge.core.cpu import usable_cpus


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system can't pin processes")
def test_only_those_that_the_process_may_use():
    one = min(usable_cpus())
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from seg_edge.core.cpu import usable_cpus; print(usable_cpus())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{{{one}}}\n"


@pytest.mark.parametrize(("count", "cpus"), [(3, {0, 1, 2}), (None, {0})])
def test_systems_without_affinity(monkeypatch, count, cpus):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert usable_cpus() == cpus
