"""A few rounds of benchmarks/resume.py: killed with signal 9, resumed, and the weights are those of a quiet training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "resume.py"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time of processes is read from /proc")
def test_killed_and_resumed(tmp_path):
    """In a process of its own, because it forks its trainings."""
    words = [sys.executable, str(SCRIPT), "--kills", "4", "--fresh", "0", "--json", str(tmp_path / "r.json")]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["resumed"] == found["kills"] >= 4
    assert found["during_a_save"] >= 2
    assert found["lives"] == found["kills"] + found["trainings"]
    assert found["wrong"] == []
    assert found["gates"][0]["passed"]
