"""Counters on trees of files that look like /sys and /proc."""

from __future__ import annotations

import os
import time

import pytest

from seg_edge.measure.instruments.sensors import EnergyMeter, Neighbours, OtherLoad, temperature_c


def plant(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def rapl(root, package=0, energy=0):
    zone = f"sys/class/powercap/intel-rapl:{package}"
    plant(
        root,
        {f"{zone}/name": f"package-{package}\n", f"{zone}/energy_uj": f"{energy}\n", f"{zone}/max_energy_range_uj": "999\n"},
    )
    plant(root, {f"{zone}:0/name": "core\n", f"{zone}:0/energy_uj": "7\n"})
    return root / zone / "energy_uj"


def test_energy_is_summed_over_packages_and_survives_a_wrap(tmp_path):
    first, second = rapl(tmp_path, 0, 100), rapl(tmp_path, 1, 900)
    plant(tmp_path, {"sys/class/powercap/intel-rapl:2/name": "psys\n", "sys/class/powercap/intel-rapl:2/energy_uj": "5\n"})
    meter = EnergyMeter(tmp_path)
    before = meter.read_uj()
    assert before == [100, 900]
    first.write_text("150\n")
    second.write_text("30\n")  # 99 up to the range's end, one step to 0, then 30
    assert meter.joules(before, meter.read_uj()) == pytest.approx((50 + 130) / 1e6)
    assert meter.reason == ""


def test_no_counter(tmp_path):
    meter = EnergyMeter(tmp_path)
    assert meter.read_uj() is None
    assert meter.joules(None, None) is None
    assert meter.reason == "no energy counter"


def test_a_counter_that_may_not_be_read_says_so(tmp_path):
    path = rapl(tmp_path)
    path.unlink()  # as unreadable as root's file is to others; the tests may run as root
    meter = EnergyMeter(tmp_path)
    assert meter.read_uj() is None
    assert "root" in meter.reason


def test_temperature_is_the_hottest_of_the_processor(tmp_path):
    assert temperature_c(tmp_path) is None
    zones = {"acpitz": 91000, "x86_pkg_temp": 61500, "cpu-thermal": 58000, "soc0-thermal": -256000}
    for i, (kind, value) in enumerate(zones.items()):
        zone = f"sys/class/thermal/thermal_zone{i}"
        plant(tmp_path, {f"{zone}/type": kind, f"{zone}/temp": f"{value}\n"})
    assert temperature_c(tmp_path) == 61.5
    plant(tmp_path, {"sys/class/hwmon/hwmon0/name": "k10temp\n", "sys/class/hwmon/hwmon0/temp1_input": "70250\n"})
    plant(tmp_path, {"sys/class/hwmon/hwmon1/name": "nvme\n", "sys/class/hwmon/hwmon1/temp1_input": "99000\n"})
    assert temperature_c(tmp_path) == 70.25


def stat(root, user, idle=0):
    plant(root, {"proc/stat": f"cpu  {user} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"})


def test_other_load_is_what_is_busy_less_our_own_time(tmp_path, monkeypatch):
    ticks = os.sysconf("SC_CLK_TCK")
    own, wall = iter([5.0, 5.5]), iter([100.0, 102.0])
    monkeypatch.setattr(time, "process_time", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(wall))
    load = OtherLoad(tmp_path)
    assert load.cores is None
    stat(tmp_path, user=1000, idle=50)
    load.start()
    stat(tmp_path, user=1000 + 3 * ticks, idle=999999)  # 3 s busy in 2 s, 0.5 s of them ours
    load.stop()
    assert load.cores == pytest.approx(1.25)


def test_our_own_work_is_not_others(tmp_path):
    load = OtherLoad()
    load.start()
    if load._begun is None:
        pytest.skip("this machine does not show /proc/stat")
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    own = time.process_time()
    load.stop()
    assert own > 0.1
    assert load.cores is not None
    assert load.cores <= (os.cpu_count() or 1)


@pytest.mark.parametrize("text", ["", "cpu  0 0 0 0 0 0 0 0 0 0\n", "cpu 1 2 3\n", "garbage"])
def test_a_sandbox_that_shows_no_load(tmp_path, text):
    plant(tmp_path, {"proc/stat": text})
    load = OtherLoad(tmp_path)
    load.start()
    load.stop()
    assert load.cores is None


def test_neighbours_are_named_by_what_they_spent(tmp_path, monkeypatch):
    ticks = os.sysconf("SC_CLK_TCK")

    def process(pid, name, user, system=0):
        plant(tmp_path, {f"proc/{pid}/stat": f"{pid} ({name}) R 1 1 1 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0\n"})

    wall = iter([100.0, 102.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(wall))
    process(7, "a (b) c", 50, 5)
    process(8, "idle", 900)
    process(os.getpid(), "we", 0)
    neighbours = Neighbours(tmp_path)
    neighbours.start()
    process(7, "a (b) c", 50 + ticks, 5 + ticks)  # 2 s of work in 2 s
    process(9, "new", ticks // 2)
    process(os.getpid(), "we", 100 * ticks)
    found = neighbours.busiest(0.1)
    assert [(one.name, one.pid) for one in found] == [("a (b) c", 7), ("new", 9)]
    assert [one.cores for one in found] == pytest.approx([1.0, 0.25])
