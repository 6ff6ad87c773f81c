"""``seg-edge doctor`` from the command line, on this machine and in an installation that lacks nearly everything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

from seg_edge.cli.main import main
from seg_edge.runtime.frame import kernels

KEYS = {
    "machine", "python", "isa", "isas", "isa_reason", "engines", "video", "gpu", "cuda", "modules", "torch", "disagreements",
    "abilities",
}  # fmt: skip


def test_json_on_standard_output(capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.keys() == KEYS
    assert report["isa"] == kernels.isa()
    assert [row.keys() for row in report["engines"]] == [{"name", "available", "reason", "version"}] * len(report["engines"])
    assert all(row["reason"] for row in report["engines"] if not row["available"])
    assert next(row for row in report["engines"] if row["name"] == "onnxruntime")["available"]
    assert all(row["text"] for row in report["abilities"])
    able = {row["name"]: row["available"] for row in report["abilities"]}
    assert able["csi:// and gst:// sources"] == (report["video"]["gst_missing"] == [])
    assert (report["video"]["gst_missing"] is None) == (shutil.which("gst-launch-1.0") is None)
    assert able["RTSP and RTMP push"] == (shutil.which("ffmpeg") is not None)
    assert able["recordings that survive a kill"] == (report["video"]["pyav"] is not None or able["RTSP and RTMP push"])
    assert able["hardware video decoding"] == any(row["available"] for row in report["video"]["decoders"])


def test_json_to_a_file(tmp_path, capsys):
    target = tmp_path / "doctor.json"
    assert main(["doctor", "--json", str(target)]) == 0
    assert json.loads(target.read_text()).keys() == KEYS
    assert capsys.readouterr().out == ""


def test_a_file_without_json_is_refused(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "x.json")]) == 1
    assert "pass --json" in capsys.readouterr().err


def test_tables(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for part in ("onnxruntime", "C kernels", kernels.isa(), "What works", "run a model", "CUDA", "OpenCV"):
        assert part in shown


BARE = """
import sys

class Absent:
    names = {%s}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names or name == "seg_edge.runtime._kernels":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from seg_edge.cli.main import main
status = main(["doctor"%s])
assert not {"torch", "lightning", "onnx"} & set(sys.modules), "a heavy package was imported"
raise SystemExit(status)
"""


def bare(absent, *words):
    extra = "".join(f", {word!r}" for word in words)
    env = {**os.environ, "PATH": ""}
    code = BARE % (", ".join(map(repr, absent)), extra)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, env=env)


def test_an_installation_without_engines_kernels_and_opencv_still_answers():
    done = bare(["torch", "onnx", "lightning", "openvino", "onnxruntime", "cv2", "tensorrt", "pycuda"], "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert not any(row["available"] for row in report["engines"])
    assert "cv2 can't be imported" in report["video"]["opencv_reason"]
    assert report["isa"] is None
    assert "kernels don't load" in report["isa_reason"]
    run = next(row for row in report["abilities"] if row["name"] == "run a model")
    assert not run["available"]
    assert not any(row["available"] for row in report["abilities"] if row["name"] in ("cameras", "show a window"))


def test_tables_of_a_bare_installation():
    done = bare(["openvino", "onnxruntime", "cv2"])
    assert done.returncode == 0, done.stderr
    assert "pip install onnxruntime" in done.stdout


def test_no_heavy_package_is_imported_where_they_are_installed():
    done = bare([], "--json")
    assert done.returncode == 0, done.stderr
