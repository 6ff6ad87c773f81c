from __future__ import annotations

import os
import subprocess
import sys

import pytest

from seg_edge.core import cpu
from seg_edge.core.cpu import cpu_quota, resolve_threads, usable_count, usable_cpus


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


def group(root, place, **files):
    folder = root / "sys/fs/cgroup" / place
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("where", "place", "text", "quota"),
    [
        ("0::/", "", "200000 100000\n", 2.0),
        ("0::/", "", "max 100000\n", None),
        ("0::/kube/pod", "kube", "150000 100000\n", 1.5),
        ("0::/docker/of-the-host", "", "50000 100000\n", 0.5),
    ],
)
def test_row_15_quota_of_version_2(tmp_path, where, place, text, quota):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(where + "\n")
    group(tmp_path, place, cpu__max=text)
    assert cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(("limit", "quota"), [("300000", 3.0), ("-1", None)])
@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
def test_row_15_quota_of_version_1(tmp_path, controllers, limit, quota):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"5:memory:/x\n4:{controllers}:/docker/x\n0::/\n")
    group(tmp_path, f"{controllers}/docker/x", cpu__cfs_quota_us=limit, cpu__cfs_period_us="100000")
    assert cpu_quota(tmp_path) == quota


def test_row_15_the_lowest_limit_counts(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/pod/container\n")
    group(tmp_path, "pod", cpu__max="100000 100000")
    group(tmp_path, "pod/container", cpu__max="400000 100000")
    assert cpu_quota(tmp_path) == 1.0


@pytest.mark.parametrize(("quota", "threads"), [(2.9, 2), (0.5, 1), (None, 8), (99.0, 8)])
def test_row_15_threads_keep_to_the_quota(monkeypatch, quota, threads):
    monkeypatch.setattr(cpu, "usable_cpus", lambda: set(range(8)))
    monkeypatch.setattr(cpu, "_physical_cores", lambda: 8)
    monkeypatch.setattr(cpu, "cpu_quota", lambda: quota)
    assert (resolve_threads(None), usable_count()) == (threads, threads)
