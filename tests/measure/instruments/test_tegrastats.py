"""Lines in the formats of the boards, as their tegrastats prints them."""

from __future__ import annotations

import pytest

from seg_edge.measure.instruments.tegrastats import board_mw, board_rails, parse

NANO = (
    "RAM 1655/3956MB (lfb 311x4MB) SWAP 0/1978MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [12%@1479,67%@518,off,off] "
    "EMC_FREQ 3%@1600 GR3D_FREQ 16%@921 APE 25 PLL@36.5C CPU@39C PMIC@100C GPU@37C AO@47.5C thermal@38C "
    "POM_5V_IN 2132/2132 POM_5V_GPU 78/78 POM_5V_CPU 275/275"
)
XAVIER_NX = (
    "RAM 1748/7772MB (lfb 377x4MB) SWAP 0/3886MB (cached 0MB) CPU [100%@1420,100%@1420,99%@1420,98%@1420,97%@1420,"
    "96%@1420] EMC_FREQ 0% GR3D_FREQ 99% AO@51C GPU@53.5C PMIC@100C AUX@51C CPU@53C thermal@52.2C VDD_IN 14664/13950 "
    "VDD_CPU_GPU_CV 10874/10241 VDD_SOC 1442/1412"
)
AGX_XAVIER = (
    "RAM 1903/15692MB (lfb 3251x4MB) CPU [1%@1190,1%@1190,2%@1190,0%@1190,0%@1190,0%@1190,0%@1190,0%@1190] EMC_FREQ 0% "
    "GR3D_FREQ 0% AO@32.5C GPU@32C Tboard@32C Tdiode@34.75C AUX@31.5C CPU@33.5C thermal@32.9C PMIC@100C "
    "GPU 10/0 CPU 216/216 SOC 864/864 CV 0/0 VDDRQ 144/144 SYS5V 1889/1889"
)
ORIN_NANO = (
    "11-14-2025 12:34:56 RAM 3162/7620MB (lfb 6x4MB) SWAP 0/3810MB (cached 0MB) CPU [1%@729,0%@729,off,off,4%@1510,2%@1510] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 61%@[611] cpu@47.968C soc2@46.906C soc0@46.9C gpu@46.343C tj@47.968C soc1@45C "
    "VDD_IN 5336mW/4970mW VDD_CPU_GPU_CV 1548mW/1500mW VDD_SOC 1478mW/1318mW"
)
AGX_ORIN = (
    "RAM 5848/62801MB (lfb 24x4MB) SWAP 126/31390MB (cached 0MB) CPU [90%@2201,100%@2201,100%@2201,100%@2201] "
    "EMC_FREQ 1%@2133 GR3D_FREQ 14%@[407,408] VIC_FREQ 115 NVDLA0_FREQ @1600 APE 174 CV0@-256C CPU@77.281C "
    "Tboard@62C SOC2@70C Tdiode@90.25C SOC0@69.531C CV1@72.5C GPU@69.125C tj@77.281C SOC1@68.968C CV2@67.25C "
    "VDD_GPU_SOC 3150mW/2971mW VDD_CPU_CV 14312mW/12415mW "
    "VIN_SYS_5V0 4968mW/5048mW VDDQ_VDD2_1V8AO 1091mW/1091mW"
)
THOR = (
    "07-31-2026 14:45:55 RAM 86905/125772MB (lfb 368x4MB) CPU [12%@972,10%@972,off,33%@1890] cpu@39.812C tj@39.906C "
    "soc012@38.812C gpu@39.906C soc345@38.625C VDD_GPU 3561mW/3561mW VDD_CPU_SOC_MSS 7910mW/7910mW "
    "VIN_SYS_5V0 7620mW/7620mW VIN 26686mW/26686mW"
)


@pytest.mark.parametrize(
    ("line", "board", "hottest", "gpu", "cpus", "rails"),
    [
        (NANO, 2132, 47.5, (16, (921,)), ((12, 1479), (67, 518), None, None), 3),
        (XAVIER_NX, 14664, 53.5, (99, ()), tuple((load, 1420) for load in (100, 100, 99, 98, 97, 96)), 3),
        (AGX_XAVIER, 10 + 216 + 864 + 144 + 1889, 33.5, (0, ()), ((1, 1190), (1, 1190), (2, 1190), *[(0, 1190)] * 5), 6),
        (ORIN_NANO, 5336, 47.968, (61, (611,)), ((1, 729), (0, 729), None, None, (4, 1510), (2, 1510)), 3),
        (AGX_ORIN, 3150 + 14312 + 4968, 77.281, (14, (407, 408)), ((90, 2201), *[(100, 2201)] * 3), 4),
        (THOR, 26686, 39.906, (None, ()), ((12, 972), (10, 972), None, (33, 1890)), 4),
    ],
    ids=["nano", "xavier nx", "agx xavier", "orin nano", "agx orin", "thor"],
)
def test_boards(line, board, hottest, gpu, cpus, rails):
    said = parse(line)
    assert said is not None
    assert (said.board_mw, said.hottest_c) == (board, hottest)
    assert (said.gpu_percent, said.gpu_mhz) == gpu
    assert said.cpus == cpus
    assert len(said.rails_mw) == rails
    used, total = (int(text) << 20 for text in line.split("RAM ")[1].split("MB")[0].split("/"))
    assert said.ram_bytes == (used, total)


def test_power_of_a_moment_not_the_average_and_three_values():
    assert parse("RAM 1/2MB VDD_IN 5336mW/4970mW/6000mW").rails_mw == {"VDD_IN": 5336}


def test_what_a_line_does_not_say_is_none():
    said = parse("RAM 100/200MB")
    assert (said.gpu_percent, said.emc_percent, said.board_mw, said.hottest_c) == (None, None, None, None)
    assert (said.cpus, dict(said.zones_c)) == ((), {})


@pytest.mark.parametrize("line", ["", "tegrastats: command not found", "Warning: unsupported", "SWAP 0/1978MB"])
def test_other_lines(line):
    assert parse(line) is None


def test_rails_of_no_known_board_give_no_sum():
    assert board_mw({"VDD_GPU": 5, "VDD_WIFI": 3}) is None
    assert board_rails(["VDD_WIFI"]) == ()
    assert board_rails(["VIN", "VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"]) == ("VIN",)
    assert board_mw({"VDD_GPU": 1, "VDD_CPU_SOC_MSS": 2, "VIN_SYS_5V0": 4}) == 7
