"""The examples of docstrings run, and every public function of the stages has one."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import seg_edge
from seg_edge.cli.main import main

ROOT = Path(__file__).parents[1]
FOLDERS = ("core", "datasets", "calib", "runtime", "train", "measure", "export", "serve", "cli")
#: Packages whose public names make the Python surface.
SURFACE = ("seg_edge.datasets", "seg_edge.train", "seg_edge.export", "seg_edge.measure", "seg_edge.serve")
SHIPPED = ROOT / "models" / "unet-s-camvid"


def with_examples() -> list[str]:
    """Dotted names of the modules that have one."""
    paths = [ROOT / "__init__.py", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]
    found = [
        path.relative_to(ROOT) for path in paths if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    return [".".join(["seg_edge", *path.with_suffix("").parts]).removesuffix(".__init__") for path in found]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name: a data set, a checkpoint, an artefact, a model, a video, all small."""
    folder = tmp_path_factory.mktemp("examples") / "here"
    folder.mkdir()
    words = ["--train", "6", "--val", "3", "--size", "64x96", "--video", "0.4", "--workers", "1"]
    assert main(["data", "synth", "--out", str(folder / "data"), *words]) == 0
    (folder / "data" / "video.mp4").rename(folder / "street.mp4")
    (folder / "runs" / "street").mkdir(parents=True)
    shutil.copy(SHIPPED / "checkpoint.pt", folder / "runs" / "street" / "best.pt")
    shutil.copytree(SHIPPED, folder / "model")
    shutil.copy(SHIPPED / "model.int8.onnx", folder / "model.int8.onnx")
    cv2.imwrite(str(folder / "frame.png"), np.full((48, 64, 3), 90, np.uint8))
    return folder


@pytest.mark.parametrize("name", with_examples())
def test_examples(name, prepared, tmp_path, monkeypatch):
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    if name.startswith("seg_edge.serve"):
        pytest.importorskip("uvicorn")  # of the extra
    module = importlib.import_module(name)
    globs = {"frame": cv2.imread("frame.png"), "np": np, **vars(module)}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name, globs=globs):
        runner.run(example, out=said.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("package", SURFACE)
def test_every_public_function_has_an_example(package):
    module = importlib.import_module(package)
    functions = [name for name in module.__all__ if callable(getattr(module, name)) and name[0].islower()]
    assert functions
    assert [name for name in functions if ">>> " not in (getattr(module, name).__doc__ or "")] == []


@pytest.mark.parametrize("package", [*SURFACE, "seg_edge", "seg_edge.runtime"])
def test_surface_of_a_package(package):
    """Sorted, shown by dir(), each name defined where it says, and no submodule bears a function's name."""
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__)
    assert {*module.__all__} <= {*dir(module)}
    folder = ROOT / Path(*package.split(".")[1:])
    for name in {*module.__all__} - {"__version__"}:
        assert getattr(module, name).__name__ == name
        assert not (folder / f"{name}.py").exists(), f"{package}.{name} is a module"
        assert not (folder / name).is_dir(), f"{package}.{name} is a package"


def test_the_stages_have_what_the_layout_promises():
    for package, names in {
        "seg_edge": {"Segmenter", "Pipeline", "open_source", "open_sink", "ModelSpec", "SegEdgeError"},
        "seg_edge.datasets": {"open_dataset", "check", "convert", "synthesize"},
        "seg_edge.train": {"TrainConfig", "fit", "load_recipe"},
        "seg_edge.export": {"ExportOptions", "export", "prune", "build", "verify"},
        "seg_edge.measure": {"evaluate", "bench", "compare"},
    }.items():
        assert names <= {*importlib.import_module(package).__all__}, package
    assert seg_edge.Segmenter.__doc__
