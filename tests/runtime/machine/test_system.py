"""Probes on recorded texts and on trees of files that look like other machines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from seg_edge.runtime.machine.system import (
    cpu_clocks,
    cpu_name,
    jetson,
    machine,
    memory_bytes,
    os_name,
    packages,
    parse_l4t,
    parse_nvpmodel,
    run,
    summary,
)

ORIN = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n"
NANO = "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19 17:05:08 UTC 2022\n"


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def orin(tmp_path):
    """A Jetson Orin Nano, as far as files go."""
    clocks = {"scaling_governor": "schedutil\n", "scaling_min_freq": "115200\n", "scaling_max_freq": "1510400\n"}
    return plant(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n",
            "proc/meminfo": "MemTotal:        7802088 kB\nMemFree:  120 kB\n",
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
            "etc/nv_tegra_release": ORIN,
            **{f"sys/devices/system/cpu/cpu{i}/cpufreq/{name}": text for i in range(2) for name, text in clocks.items()},
        },
    )


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A function that puts a shell script on an otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, body: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)

    return add


def test_a_jetson_is_described(orin, tools):
    tools("nvpmodel", '[ "$1" = -q ] && printf "NVPM WARN: fan mode is not set!\\nNV Power Mode: MODE_15W\\n2\\n"')
    tools("jetson_clocks", "exit 0")
    about = machine(orin)
    assert about["jetson"] == {
        "model": "NVIDIA Jetson Orin Nano Developer Kit",
        "l4t": "36.4.3",
        "jetpack": "6.x",
        "power_mode": "MODE_15W",
        "jetson_clocks": str(orin / "bin/jetson_clocks"),
    }
    assert about["cpu"] == "ARM, implementer 0x41, part 0xd42"
    assert about["memory_bytes"] == 7802088 * 1024
    assert (about["governor"], about["clocks_locked"]) == ("schedutil", False)
    assert summary(about).startswith("NVIDIA Jetson Orin Nano Developer Kit, power mode MODE_15W, ARM,")
    assert "7 GB, Ubuntu 22.04.5 LTS" in summary(about)


def test_the_jetpack_package_is_believed_before_the_release_file(orin, tools):
    tools("dpkg-query", '[ "$3" = nvidia-jetpack ] && printf "6.2+b77"')
    assert jetson(orin)["jetpack"] == "6.2+b77"


def test_a_jetson_whose_tools_are_missing_or_fail(orin, tools):
    tools("nvpmodel", "echo 'NV Power Mode: MAXN'; exit 3")
    found = jetson(orin)
    assert (found["power_mode"], found["jetson_clocks"], found["jetpack"]) == (None, None, "6.x")


def test_clocks_are_locked_when_every_cpu_is_held(orin):
    folder = orin / "sys/devices/system/cpu"
    (folder / "cpu0/cpufreq/scaling_min_freq").write_text("1510400\n")
    assert cpu_clocks(orin)["clocks_locked"] is False
    (folder / "cpu1/cpufreq/scaling_min_freq").write_text("1510400\n")
    assert cpu_clocks(orin)["clocks_locked"] is True


def test_another_board_is_no_jetson(tmp_path):
    plant(tmp_path, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    assert jetson(tmp_path) is None


def test_an_empty_machine_gives_nulls(tmp_path, tools):
    about = machine(tmp_path)
    assert json.loads(json.dumps(about)) == about
    assert [about[key] for key in ("memory_bytes", "governor", "clocks_locked", "jetson")] == [None] * 4
    assert about["cores"] >= 1
    assert about["os"]
    assert summary(about)


def test_x86_names(tmp_path):
    plant(tmp_path, {"proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nprocessor\t: 1\nmodel name\t: other\n"})
    plant(tmp_path, {"etc/os-release": "NAME=Alpine\nPRETTY_NAME=Alpine\n", "proc/meminfo": "MemTotal: 1024 kB"})
    assert (cpu_name(tmp_path), os_name(tmp_path), memory_bytes(tmp_path)) == ("AMD EPYC 7B13", "Alpine", 2**20)


@pytest.mark.parametrize(("text", "release"), [(ORIN, "36.4.3"), (NANO, "32.7.1"), ("", None), ("R36", None)])
def test_l4t_release(text, release):
    assert parse_l4t(text) == release


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", "MAXN"),
        ("NVPM WARN: power mode is not set!\nNV Power Mode: 30W \n2", "30W"),
        ("NV Power Mode: MAXN SUPER\n2\n", "MAXN SUPER"),
        ("NVPM ERROR: no such file\n", None),
    ],
)
def test_nvpmodel(text, mode):
    assert parse_nvpmodel(text) == mode


def test_run_answers_none_instead_of_raising():
    python = sys.executable
    assert run([python, "-c", "print(' hello ')"]) == "hello"
    assert run([python, "-c", "print('half'); raise SystemExit(1)"]) is None
    assert run([python, "-c", "pass"]) is None
    assert run([python, "-c", "import time; time.sleep(30)"], timeout_s=0.2) is None
    assert run(["no-such-tool-here"]) is None


def test_packages_are_those_installed():
    import numpy

    found = packages(("numpy", "no-such-distribution-here"))
    assert found == {"numpy": numpy.__version__}
