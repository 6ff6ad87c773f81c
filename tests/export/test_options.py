"""Options are read without numpy; their names are those of the tables that implement them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seg_edge.calib import names, observers, scales
from seg_edge.core.errors import DataError, InputError, ModelFileError
from seg_edge.export import ExportOptions, PruneOptions, build, export, prune, verify
from seg_edge.export.pruning import importance, structure
from seg_edge.export.pruning.names import IMPORTANCES, SCOPES

HEAVY = ("torch", "onnx", "onnxruntime", "openvino", "numpy", "cv2", "lightning")


def test_names_are_those_of_the_tables():
    assert set(names.OBSERVERS) == set(observers.OBSERVERS)
    assert scales.WEIGHTS is names.WEIGHTS
    assert importance.IMPORTANCES is IMPORTANCES
    assert structure.SCOPES is SCOPES


def test_texts_are_paths():
    options = ExportOptions(int8=True, data="data", prune=PruneOptions(ratio=0.5, data="data"))
    assert options.data == options.prune.data == Path("data")


@pytest.mark.parametrize("engine", ["rtx", "tensorrt"])
def test_an_engine_for_engine_files_is_built_and_others_are_measured(engine):
    options = ExportOptions(engine=engine)
    assert (options.plan.flavour, options.measured_on) == (engine, "auto")
    assert ExportOptions(engine="openvino").plan is None


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda out: export("nowhere.pt", out), ModelFileError, "nowhere.pt: no such file; expected a checkpoint"),
        (
            lambda out: export(out.parent, out),
            ModelFileError,
            "holds no model.fp32.onnx to export from",
        ),
        (lambda out: export("unet-s-camvid", out, ExportOptions(data="no")), DataError, "dataset no: no such folder"),
        (lambda out: prune("unet-s-camvid", out, PruneOptions(ratio=0.5, data="no")), DataError, "dataset no: no such"),
        (lambda out: build("nowhere.onnx"), InputError, "nowhere.onnx: no such file"),
        (lambda out: build("unet-s-camvid", dry_run=True), InputError, "pass `dla_core=0` too"),
        (lambda out: verify("nowhere"), ModelFileError, "nowhere: no such folder; expected an artefact folder"),
        (lambda out: verify(engine="openvin"), InputError, "did you mean 'openvino'"),
    ],
)
def test_what_cannot_be_used_is_said_before_any_work(tmp_path, call, error, text):
    with pytest.raises(error) as caught:
        call(tmp_path / "out")
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["export", "nowhere.pt", "--int8"],
        ["export", "nowhere.pt"],
        ["export", "unet-s-camvid", "--data", "nowhere"],
        ["export", "unet-s-camvid", "--observer", "percentle"],
        ["prune", "nowhere.pt", "--ratio", "0.5"],
        ["prune", "unet-s-camvid", "--ratio", "50"],
        ["build", "nowhere.onnx"],
        ["build", "unet-s-camvid", "--engine", "tensort"],
        ["verify", "nowhere"],
        ["verify", "--engine", "openvin"],
    ],
)
def test_the_command_says_it_without_heavy_packages(words, tmp_path):
    code = (
        "import sys\n"
        "from seg_edge.cli.main import main\n"
        f"assert main({words!r}) == 1\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr.startswith("seg-edge: error: ")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        export("unet-s-camvid", tmp_path / "out")
