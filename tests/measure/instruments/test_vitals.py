"""Clocks, throttling and memory on trees of files that look like /sys and /proc."""

from __future__ import annotations

from seg_edge.measure.instruments.vitals import Vitals, cpu_mhz, gpu_mhz, memory, throttle_alerts


def plant(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


def test_a_machine_that_tells_nothing(tmp_path):
    vitals = Vitals(tmp_path)
    vitals.take()
    assert (vitals.hottest_c, vitals.throttled) == (None, None)
    assert vitals.clocks_mhz == {"cpu": None, "gpu": None}
    assert memory(tmp_path) == {"rss_bytes": None, "peak_bytes": None}


def test_clocks_are_a_range(tmp_path):
    cpu = "sys/devices/system/cpu"
    for i, kilohertz in enumerate((1_000_000, 2_000_000)):
        plant(tmp_path, {f"{cpu}/cpu{i}/cpufreq/scaling_cur_freq": kilohertz})
    plant(tmp_path, {"sys/class/devfreq/15340000.vic/cur_freq": 1, "sys/class/devfreq/17000000.ga10b/cur_freq": 611_000_000})
    assert (cpu_mhz(tmp_path), gpu_mhz(tmp_path)) == (1500.0, 611.0)
    vitals = Vitals(tmp_path)
    vitals.take()
    plant(tmp_path, {f"{cpu}/cpu1/cpufreq/scaling_cur_freq": 1_000_000})
    vitals.take()
    assert vitals.clocks_mhz == {"cpu": [1000.0, 1500.0], "gpu": [611.0, 611.0]}


def test_events_count_from_the_beginning_of_the_measurement(tmp_path):
    plant(tmp_path, {"sys/class/hwmon/hwmon5/oc1_event_cnt": 0, "sys/class/hwmon/hwmon5/oc3_event_cnt": 37})
    for i in (0, 1):
        plant(tmp_path, {f"sys/devices/system/cpu/cpu{i}/thermal_throttle/package_throttle_count": 4})
    vitals = Vitals(tmp_path)
    assert vitals.throttled == []
    plant(tmp_path, {"sys/class/hwmon/hwmon5/oc3_event_cnt": 40})
    plant(tmp_path, {"sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": 9})
    assert vitals.throttled == ["CPU heat: 5 events", "over-current oc3: 3 events"]


def test_an_alert_that_came_and_went_is_kept(tmp_path):
    zone = "sys/class/thermal"
    plant(tmp_path, {f"{zone}/cooling_device0/type": "pwm-fan", f"{zone}/cooling_device0/cur_state": 3})
    assert throttle_alerts(tmp_path) is None
    plant(tmp_path, {f"{zone}/cooling_device1/type": "gpu-throttle-alert", f"{zone}/cooling_device1/cur_state": 0})
    vitals = Vitals(tmp_path)
    vitals.take()
    assert vitals.throttled == []
    plant(tmp_path, {f"{zone}/cooling_device1/cur_state": 1})
    vitals.take()
    plant(tmp_path, {f"{zone}/cooling_device1/cur_state": 0})
    vitals.take()
    assert vitals.throttled == ["gpu-throttle-alert"]


def test_memory_of_this_process():
    here = memory()
    assert here["peak_bytes"] >= here["rss_bytes"] > 1_000_000
