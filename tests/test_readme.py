"""The README's commands and its Python example, run in order in an empty folder; only sizes and counts are smaller."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from seg_edge.cli.main import VERBS, main

README = Path(__file__).parents[1] / "README.md"
MEASURED = README.parent / "docs" / "measured.md"
SMALLER = {"--train": "12", "--val": "6", "--size": "64x96", "--video": "1", "--epochs": "2"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(blocks("console")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("seg-edge ")]


def smaller(words: list[str]) -> list[str]:
    before = ["", *words[:-1]]
    return [SMALLER.get(option, word) for option, word in zip(before, words, strict=True)]


def test_every_verb_is_shown() -> None:
    page = (README.parent / "docs" / "commands.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `seg-edge ([a-z -]+)` \|", page, re.MULTILINE))
    assert {name.split()[0] for name in listed} == set(VERBS)
    assert {words[0] for words in commands()} <= {name.split()[0] for name in listed}
    shown = subprocess.run([sys.executable, "-m", "seg_edge.cli.main", "--help"], capture_output=True, text=True, check=True)
    for name in listed:
        assert name.split()[0] in shown.stdout


@pytest.mark.timeout(300)
def test_the_road_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    road = commands()
    assert [words[0] for words in road] == ["data", "train", "val", "export", "verify", "run", "bench"]
    for words in map(smaller, road):
        # An accuracy gate is for trained networks; two epochs on 12 images make none.
        words = [{"--max-drop": "--max-drop", "1.0": "100"}.get(word, word) for word in words]
        if words[0] == "bench":
            words += ["--runs", "3"]
        assert main(words) == 0, f"seg-edge {' '.join(words)}: {capfd.readouterr().err}"
    for name in ("overlay.mp4", "bench.json", "model/report.md", "runs/street/curves.png"):
        assert (tmp_path / name).stat().st_size > 0

    (example,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "road: " in done.stdout
    assert "frame 24: " in done.stdout
    assert (tmp_path / "overlay.png").stat().st_size > 0


def test_the_demo_takes_as_long_as_is_said_wherever_it_is_said() -> None:
    """Minutes of ``make demo`` after the installation, in the README and in the help of make, are the recorded seconds."""
    results = README.parent / "benchmarks" / "results"
    minutes = round(json.loads((results / "demo.json").read_text(encoding="utf-8"))["seconds"] / 60)
    for file, line in (("README.md", r"^make demo .*"), ("Makefile", r"^demo:.*")):
        said = re.findall(line, (README.parent / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert len(said) == 1, file
        assert f"about {minutes} minutes on 2 cores after installation" in said[0], file


def test_numbers_are_the_recorded_ones() -> None:
    lines = MEASURED.read_text(encoding="utf-8")
    text = " ".join(lines.split())
    results = README.parent / "benchmarks" / "results"
    speed, camvid, demo = (
        json.loads((results / f"{name}.json").read_text(encoding="utf-8")) for name in ("end_to_end", "camvid", "demo")
    )
    for row in speed["rows"]:
        which = f"{row['precision']} | {row['engine']} | {row['threads']} | {row['bytes'] / 1e6:.2f}"
        times = f"{row['engine_ms']['p50']:.1f} | {row['e2e_ms']['p50']:.1f} | {row['e2e_over_engine']:.2f}"
        assert f"| {which} | {times} | {row['fps_e2e']:.0f} |" in text
    assert lines.count("\n| fp32 |") + lines.count("\n| int8 |") == len(speed["rows"])
    miou = {step["file"]: f"{100 * step['miou']:.2f} %" for step in camvid["export"]["steps"]}
    assert f"{miou['model.fp32.onnx']} in fp32 and {miou['model.int8.onnx']} in INT8" in text
    street = json.loads((results / "street80.json").read_text(encoding="utf-8"))
    miou = {step["file"]: f"{100 * step['miou']:.2f} %" for step in street["export"]["steps"]}
    assert f"it is {miou['model.fp32.onnx']} in fp32 and {miou['model.int8.onnx']} in INT8" in text
    gates = {gate["name"]: gate for gate in speed["gates"]}
    missed = [name for name, gate in gates.items() if not gate["passed"]]
    page = (README.parent / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert missed == []
    old = json.loads((results / "end_to_end_avx2.json").read_text(encoding="utf-8"))
    ours = {part["precision"]: part["median_ms"]["ours"] for part in old["post_processing"]}
    assert f"the third was missed: {ours['int8']:.2f} ms for INT8 and {ours['fp32']:.2f} for fp32" in page
    old = json.loads((results / "peers_avx2.json").read_text(encoding="utf-8"))
    assert f"may break ({old['ours_over']['plain loop']['median']:.1f} in\n`results/peers_avx2.json`)" in page
    kernels = json.loads((results / "kernels.json").read_text(encoding="utf-8"))
    times = {row["operation"]: row["p50_ms"] for row in kernels["rows"]}["upsample_overlay street and mask"]
    assert f"in a cache and both cores awake, has {times['2 threads']:.2f} ms" in page
    assert f"is {gates['usual post-processing ÷ ours']['value']:.0f} times faster" in text
    assert f"reaches {100 * demo['val']['miou']:.1f} % mIoU (INT8)" in text
    assert f"{demo['train']['seconds']:.0f} s of training" in text


def test_small_networks_and_peers_are_the_recorded_ones() -> None:
    text = " ".join(MEASURED.read_text(encoding="utf-8").split())
    results = README.parent / "benchmarks" / "results"
    small, peers = (json.loads((results / f"{name}.json").read_text(encoding="utf-8")) for name in ("pruned", "peers"))
    share = small["small"]["macs"] / small["parent"]["macs"]
    rows = [row for row in small["rows"] if row["precision"] == "int8"]
    times = [row["ratio"]["e2e"] for row in rows]
    assert f"pruned to {100 * share:.0f} % of its MACs" in text
    assert (
        f"{100 * min(row['miou'] for row in rows):.2f} % and is {min(times):.1f} to {max(times):.1f} times as fast" in text
    )
    ours, loop, other = (peers["fps"][side]["median"] for side in ("ours", "plain loop", "ultralytics"))
    over = {side: found["median"] for side, found in peers["ours_over"].items()}
    assert f"{ours:.0f} FPS ([record](../benchmarks/results/peers.json))" in text
    assert f"reaches {loop:.1f} ({over['plain loop']:.1f} times less)" in text
    assert f"`yolo26n-sem` {other:.1f} ({over['ultralytics']:.1f} times less)" in text
    pruned, times = peers["fps"]["ours, pruned"]["median"], peers["pruned"]["over"]["plain loop"]["median"]
    assert f"makes {pruned:.0f} FPS of the same file: {times:.1f} times the plain loop's rate" in text
    parent = next(row["miou"] for row in small["rows"] if row["precision"] == "fp32")
    assert f"trained on with a teacher ({100 * parent:.2f} %)" in text
    best = max(
        json.loads(file.read_text(encoding="utf-8"))["train"]["best"]["miou"] for file in results.glob("camvid-lite0*.json")
    )
    assert f"`unet-lite0` reaches {100 * best:.2f} %" in text
    new, old = (json.loads((results / f"{name}.json").read_text(encoding="utf-8")) for name in ("int8", "int8_avx2"))
    assert f"INT8 `unet-s` takes half of the time of fp32, not {new['engines']['openvino']['ratio']:.2f} of it" in text
    assert f"{old['engines']['openvino']['ratio']:.1f}" == "0.5"
    # What is shipped is the network that pruned.json is about.
    shipped = json.loads((README.parent / "models" / peers["pruned"]["model"] / "report.json").read_text(encoding="utf-8"))
    assert shipped["spec"]["provenance"]["macs"] == peers["pruned"]["macs"] == small["small"]["macs"]


def test_the_readmes_summary_is_the_recorded_one() -> None:
    text = " ".join(README.read_text(encoding="utf-8").split())
    results = README.parent / "benchmarks" / "results"
    speed, camvid, small, peers = (
        json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("end_to_end", "camvid", "pruned", "peers")
    )
    miou = min(row["miou"] for row in small["rows"] if row["precision"] == "int8")
    assert f"`{peers['pruned']['model']}` ({small['small']['params'] / 1e6:.2f} M parameters" in text
    assert f"{100 * miou:.2f} % mIoU on CamVid's val split" in text
    fps, times = peers["fps"]["ours, pruned"]["median"], peers["pruned"]["over"]["plain loop"]["median"]
    assert f"makes {fps:.0f} FPS of a 1280x720 video file: {times:.1f} times the rate of a plain loop" in text
    fp32, int8 = (
        next(step["miou"] for step in camvid["export"]["steps"] if step["file"] == f"model.{name}.onnx")
        for name in ("fp32", "int8")
    )
    assert f"INT8 costs `unet-s` {100 * (fp32 - int8):.2f} points of mIoU" in text
    usual = next(gate["value"] for gate in speed["gates"] if gate["name"] == "usual post-processing ÷ ours")
    assert f"is {usual:.0f} times faster than OpenCV and NumPy" in text


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


def test_the_table_is_the_recorded_one() -> None:
    text = MEASURED.read_text(encoding="utf-8")
    record = json.loads((README.parent / "benchmarks/results/table.json").read_text(encoding="utf-8"))
    heading = "| network | M parameters | GMAC | FPS | ratio | 95 % | published ratio |"
    shown = text.partition(heading)[2].strip().splitlines()[1 : 1 + len(record["rows"])]
    expected = []
    for row in record["rows"]:
        low, high = (digits(end) for end in row["ratio"]["e2e_interval"])
        published = row["ratio"]["published"]
        cells = [
            f"{row['model']} {row['precision']}", f"{row['params'] / 1e6:.2f}", f"{row['macs'] / 1e9:.2f}",
            digits(row["fps_e2e"]), digits(row["ratio"]["e2e"]), low if low == high else f"{low}–{high}",
            "–" if published is None else f"{published:.2f}",
        ]  # fmt: skip
        expected.append(f"| {' | '.join(cells)} |")
    assert shown == expected, "docs/measured.md should say:\n" + "\n".join(expected)


def digits(value: float) -> str:
    """Three digits."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
