"""The package as a whole: its surface, which folder imports which, and what its top level loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

import seg_edge
from seg_edge.cli.main import VERBS

ROOT = Path(__file__).parents[1]
FOLDERS = ("calib", "cli", "core", "datasets", "export", "measure", "runtime", "train")

#: Which folder may import which: the data's way, each only from its left. calib and runtime stand side by side.
EVERYWHERE = frozenset({""})
ARROWS: dict[str, dict[str, frozenset[str]]] = {
    "core": {},
    "datasets": {"core": EVERYWHERE},
    "calib": {"core": EVERYWHERE},
    "runtime": {"core": EVERYWHERE, "datasets": EVERYWHERE},
    # A checkpoint behind the runtime's engine interface; frames resized as the runtime does it.
    "train": {
        "core": EVERYWHERE, "datasets": EVERYWHERE, "runtime": frozenset({"train/torch_engine.py", "train/data/augment.py"}),
    },
    "measure": {"core": EVERYWHERE, "datasets": EVERYWHERE, "runtime": EVERYWHERE, "train": EVERYWHERE},
    "export": {
        "core": EVERYWHERE, "datasets": EVERYWHERE, "calib": EVERYWHERE, "runtime": EVERYWHERE, "train": EVERYWHERE,
        "measure": EVERYWHERE,
    },
    "cli": {name: EVERYWHERE for name in ("core", "datasets", "calib", "export", "measure", "runtime", "train")},
}  # fmt: skip
#: Packages from elsewhere that a folder may import. The runtime's own list is what an edge device installs.
PACKAGES = {
    "core": {"cv2", "numpy", "yaml"},
    "cli": {"cv2", "matplotlib", "rich", "typer", "yaml"},
    "calib": {"numpy", "onnx", "onnxruntime"},
}
NEVER = {"runtime": {"torch", "torchvision", "lightning", "onnx", "onnxsim", "matplotlib", "typer", "rich"}}


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        file: Where it stands, relative to the repository.
        line: On which line.
        module: Its dotted name; what is imported from a package by a relative import is written out in full.
        late: It is imported when a function runs.
        typing: It stands under ``if TYPE_CHECKING``, and is never imported at run time.
    """

    file: str
    line: int
    module: str
    late: bool
    typing: bool

    @property
    def folder(self) -> str:
        """The folder of this repository that it leads to, or ""."""
        parts = self.module.split(".")
        return parts[1] if parts[0] == "seg_edge" and len(parts) > 1 and parts[1] in FOLDERS else ""

    @property
    def at(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports(source: str, file: str) -> Iterator[Import]:
    """Every import of a file, wherever it stands."""

    def walk(node: ast.AST, late: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(file, node.lineno, name.name, late, typing)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["seg_edge", *Path(file).parts[:-1]]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            for name in node.names:
                yield Import(file, node.lineno, f"{base}.{name.name}", late, typing)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.body:
                yield from walk(child, late, True)
            for child in node.orelse:
                yield from walk(child, late, typing)
        else:
            late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, late, typing)

    return walk(ast.parse(source), False, False)


def of(folder: str) -> list[Import]:
    sources = sorted((ROOT / folder).rglob("*.py"))
    assert sources
    return [
        found
        for file in sources
        for found in imports(file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix())
    ]  # fmt: skip


def loaded(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after ``code``, and the stages of this one."""
    tail = "\nimport sys; print('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    names = done.stdout.split("LOADED ")[-1].split()
    assert "seg_edge" in names
    return {name.split(".")[0] for name in names} | {name for name in names if name.startswith("seg_edge.")}


# --- the surface


def test_surface():
    assert seg_edge.__all__ == [
        "ModelSpec",
        "Pipeline",
        "SegEdgeError",
        "Segmenter",
        "__version__",
        "open_sink",
        "open_source",
    ]
    for name in set(seg_edge.__all__) - {"__version__"}:
        assert getattr(seg_edge, name).__name__ == name
    from seg_edge import ModelSpec, SegEdgeError, Segmenter

    assert [thing.__module__ for thing in (ModelSpec, SegEdgeError, Segmenter)] == [
        "seg_edge.core.spec", "seg_edge.core.errors", "seg_edge.runtime.segmenter",
    ]  # fmt: skip


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'seg_edge' has no attribute 'Segmentor'"):
        _ = seg_edge.Segmentor


def test_version_is_the_projects():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{seg_edge.__version__}"\n' in project


def test_the_installed_command_says_the_version():
    """The script that the installation made, not only the module."""
    script = Path(sys.executable).parent / "seg-edge"
    done = subprocess.run([str(script), "--version"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"seg-edge {seg_edge.__version__}\n", "")


def test_the_package_is_typed():
    assert (files("seg_edge") / "py.typed").is_file()


# --- the arrows


def test_imports_are_found_wherever_they_stand():
    source = """
import numpy as np
from ..core.spec import ModelSpec
from . import bench
from .. import __version__
from seg_edge.train import trainer
if TYPE_CHECKING:
    from ..export.report import Report
else:
    import json
class A:
    import abc
    def f(self):
        from ...x import y
        try:
            import torch.nn
        except ImportError:
            pass
"""
    found = {(i.module, i.folder, i.late, i.typing) for i in imports(source, "runtime/engines/a.py")}
    assert found == {
        ("numpy", "", False, False),
        ("seg_edge.runtime.core.spec.ModelSpec", "runtime", False, False),
        ("seg_edge.runtime.engines.bench", "runtime", False, False),
        ("seg_edge.runtime.__version__", "runtime", False, False),
        ("seg_edge.train.trainer", "train", False, False),
        ("seg_edge.runtime.export.report.Report", "runtime", False, True),
        ("json", "", False, False),
        ("abc", "", False, False),
        ("seg_edge.x.y", "", True, False),
        ("torch.nn", "", True, False),
    }
    assert {i.module for i in imports("from .. import core\nfrom ..core import spec", "cli/a.py")} == {
        "seg_edge.core", "seg_edge.core.spec",
    }  # fmt: skip


def test_every_folder_with_code_is_in_the_table():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(FOLDERS) == set(ARROWS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_arrows_run_one_way(folder):
    wrong = [
        found.at
        for found in of(folder)
        if found.folder not in ("", folder) and not ARROWS[folder].get(found.folder, frozenset()) & {"", found.file}
    ]
    assert wrong == []


def test_the_table_has_no_arrow_that_nobody_uses():
    """But for cli, which may drive any stage."""
    used = {(folder, found.folder) for folder in FOLDERS for found in of(folder)}
    assert {(folder, other) for folder in set(FOLDERS) - {"cli"} for other in ARROWS[folder]} <= used


@pytest.mark.parametrize("folder", sorted(PACKAGES))
def test_packages_from_elsewhere(folder):
    ours = {"seg_edge", "__future__"} | sys.stdlib_module_names
    found = {i.module.split(".")[0]: i.at for i in of(folder) if not i.typing}
    assert {name: at for name, at in found.items() if name not in ours | PACKAGES[folder]} == {}


@pytest.mark.parametrize("folder", sorted(NEVER))
def test_packages_that_a_folder_never_imports(folder):
    """Not even inside a function: tests/runtime/test_imports.py runs what can be run without them, this reads the rest."""
    assert [i.at for i in of(folder) if i.module.split(".")[0] in NEVER[folder]] == []


# --- what the top level loads

HEAVY = {"numpy", "cv2", "torch", "onnx", "onnxruntime", "openvino", "lightning"}


@pytest.mark.parametrize(
    "code",
    [
        "import seg_edge",
        "from seg_edge import SegEdgeError",
        "import seg_edge.cli.main",
        "from seg_edge.cli.main import main; main(['--version'])",
        "from seg_edge.cli.main import main; main(['--help'])",
        "from seg_edge.cli.main import main; main(['nope'])",
    ],
)
def test_the_top_level_is_light(code):
    names = loaded(code)
    assert names & HEAVY == set()
    stages = {name for name in names if re.match(r"seg_edge\.(train|calib|datasets|export|measure|runtime)\b", name)}
    assert stages == set()


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_is_light(verb):
    """Its options come from light modules of its stage; the stage itself is imported when the verb runs."""
    assert loaded(f"from seg_edge.cli.main import main; main([{verb!r}, '--help'])") & HEAVY == set()


def test_loading_is_seen():
    assert loaded("from seg_edge import Segmenter") & HEAVY >= {"numpy", "cv2"}
