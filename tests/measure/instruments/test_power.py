"""Meters on planted files, a planted NVML and a planted tegrastats."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from seg_edge.measure.instruments import nvml as nvml_module
from seg_edge.measure.instruments import power
from seg_edge.measure.instruments.power import NvmlMeter, RaplMeter, SampledMeter, open_meter, rails_mw


def plant(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


def ina3221(root, chip, rails):
    folder = f"sys/class/hwmon/hwmon{chip}"
    plant(root, {f"{folder}/name": "ina3221"})
    for channel, (label, millivolts, milliamperes) in enumerate(rails, 1):
        plant(root, {f"{folder}/in{channel}_label": label, f"{folder}/in{channel}_input": millivolts})
        plant(root, {f"{folder}/curr{channel}_input": milliamperes})
    plant(root, {f"{folder}/in7_label": "sum of shunt voltages", f"{folder}/in7_input": 9, f"{folder}/curr7_input": 9})


def test_rails_of_an_agx_orin(tmp_path):
    ina3221(tmp_path, 3, [("VDD_GPU_SOC", 12000, 250), ("VDD_CPU_CV", 12000, 500), ("VIN_SYS_5V0", 5000, 1000)])
    ina3221(tmp_path, 4, [("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5000, 200)])
    assert rails_mw(tmp_path) == {"VDD_GPU_SOC": 3000, "VDD_CPU_CV": 6000, "VIN_SYS_5V0": 5000, "VDDQ_VDD2_1V8AO": 1000}
    meter = open_meter("CPU", tmp_path)
    assert (meter.source, meter.scope) == ("rails VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", "the whole board")
    meter.start()
    time.sleep(0.12)
    plant(tmp_path, {"sys/class/hwmon/hwmon3/curr2_input": 500})
    began = time.perf_counter()
    joules = meter.stop()
    assert 14 * 0.1 < joules < 14 * (0.6 + time.perf_counter() - began)
    meter.close()


def test_thor_has_a_monitor_of_its_input(tmp_path):
    ina3221(tmp_path, 1, [("VDD_GPU", 12040, 640), ("VDD_CPU_SOC_MSS", 12040, 960), ("VIN_SYS_5V0", 5088, 1740)])
    plant(tmp_path, {"sys/class/hwmon/hwmon2/name": "ina238", "sys/class/hwmon/hwmon2/power1_input": 26686000})
    assert rails_mw(tmp_path)["VIN"] == 26686
    assert open_meter("GPU", tmp_path).source == "rails VIN"


def test_nano_and_xavier_with_an_older_kernel(tmp_path):
    device = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    plant(tmp_path, {f"{device}/rail_name_0": "POM_5V_IN", f"{device}/in_power0_input": 2132})
    plant(tmp_path, {f"{device}/rail_name_1": "POM_5V_GPU", f"{device}/in_power1_input": 78})
    assert rails_mw(tmp_path) == {"POM_5V_IN": 2132, "POM_5V_GPU": 78}
    assert open_meter("CPU", tmp_path).source == "rails POM_5V_IN"


def test_a_jetson_whose_rails_can_not_be_read_says_so(tmp_path):
    plant(tmp_path, {"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1"})
    meter = open_meter("CPU", tmp_path)
    assert meter.source == ""
    assert "rails can't be read" in meter.reason
    meter.start()
    assert meter.stop() is None


def test_x86_counts_with_rapl(tmp_path):
    zone = "sys/class/powercap/intel-rapl:0"
    plant(tmp_path, {f"{zone}/name": "package-0", f"{zone}/energy_uj": 1000, f"{zone}/max_energy_range_uj": 9999})
    meter = open_meter("CPU", tmp_path)
    assert isinstance(meter, RaplMeter)
    meter.start()
    plant(tmp_path, {f"{zone}/energy_uj": 3_001_000})
    assert meter.stop() == pytest.approx(3.0)
    assert open_meter("CPU", tmp_path / "nothing").reason == "no energy counter"


def test_samples_are_integrated_over_time(monkeypatch):
    clock, watts = iter([0.0, 1.0, 3.0]), iter([10.0, 20.0, 20.0])
    monkeypatch.setattr(power, "perf_counter", lambda: next(clock))
    meter = SampledMeter(lambda: next(watts), "s", "b", every_s=60)
    meter.start()
    meter._take()
    assert meter.stop() == 15 + 40
    assert meter.stop() is None  # nothing was started


def test_an_instrument_that_fails_is_no_zero():
    meter = SampledMeter(lambda: None, "s", "b", every_s=60)
    meter.start()
    assert meter.stop() is None


class FakeNvml:
    """The functions of pynvml that are used, with the units that NVML has: millijoules, milliwatts, megahertz."""

    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM = 0, 1

    class NVMLError(Exception):
        pass

    def __init__(self, energy=True, start=True):
        self.energy, self.begins, self.millijoules = energy, start, 5_000

    def nvmlInit(self):
        if not self.begins:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByIndex(self, index):
        return f"handle {index}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if not self.energy:
            raise self.NVMLError("Not Supported")
        return self.millijoules

    def nvmlDeviceGetPowerUsage(self, handle):
        return 71_500

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return 54

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return {1: 1980}[kind]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return 0x1 | 0x4 | 0x40


def test_nvml(monkeypatch):
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    gpu, reason = nvml_module.nvml()
    assert reason == ""
    assert (gpu.watts(), gpu.temperature_c(), gpu.clock_mhz()) == (71.5, 54, 1980)
    assert gpu.throttled() == ["power cap", "heat (hardware)"]  # idle is not throttling
    meter = power._gpu_meter()
    assert isinstance(meter, NvmlMeter)
    meter.start()
    fake.millijoules += 2_500
    assert meter.stop() == pytest.approx(2.5)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(energy=False))
    assert isinstance(power._gpu_meter(), SampledMeter)


def test_no_nvml(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(start=False))
    assert "Driver Not Loaded" in power._gpu_meter().reason
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in power._gpu_meter().reason


def test_the_real_package_has_what_is_called():
    real = pytest.importorskip("pynvml")
    for name in dir(FakeNvml):
        if name.startswith("nvml"):
            assert callable(getattr(real, name))
    assert (real.NVML_TEMPERATURE_GPU, real.NVML_CLOCK_SM) == (FakeNvml.NVML_TEMPERATURE_GPU, FakeNvml.NVML_CLOCK_SM)


def test_tegrastats_is_read_as_it_runs(tmp_path):
    tool = tmp_path / "tegrastats"
    tool.write_text('#!/bin/sh\necho "RAM 1/2MB VDD_IN 5000mW/4000mW"\necho "a warning"\nexec sleep 60\n')
    tool.chmod(0o755)
    stream = power._Tegrastats(str(tool))
    meter = SampledMeter(stream.watts, "tegrastats", "the whole board", close=stream.close)
    deadline = time.perf_counter() + 10
    while stream.watts() is None and time.perf_counter() < deadline:
        time.sleep(0.01)
    meter.start()
    began = time.perf_counter()
    time.sleep(0.1)
    joules = meter.stop()
    assert joules == pytest.approx(5.0 * (time.perf_counter() - began), rel=0.5)
    meter.close()
    meter.close()
    assert stream._process.poll() is not None


def test_meters_have_what_rows_say_about_them():
    for meter in (RaplMeter(SimpleNamespace()), NvmlMeter(SimpleNamespace())):
        assert meter.source
        assert meter.scope
        assert not meter.reason
