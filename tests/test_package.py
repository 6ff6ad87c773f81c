"""The package as a whole: its surface, which folder imports which, and what its top level loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

import seg_edge
from seg_edge.cli.main import VERBS

ROOT = Path(__file__).parents[1]


def _walker() -> ModuleType:
    """``tests/imports.py``: test folders are no packages that could import each other."""
    found = spec_from_file_location("seg_edge_test_imports", ROOT / "tests" / "imports.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules[found.name] = module  # its dataclass looks itself up
    found.loader.exec_module(module)
    return module


walker = _walker()
FOLDERS, imports, of = walker.FOLDERS, walker.imports, walker.of

#: Which folder may import which: the data's way, each only from its left. calib and runtime stand side by side.
EVERYWHERE = frozenset({""})
ARROWS: dict[str, dict[str, frozenset[str]]] = {
    "core": {},
    "datasets": {"core": EVERYWHERE},
    "calib": {"core": EVERYWHERE},
    "runtime": {"core": EVERYWHERE, "datasets": EVERYWHERE},
    # A checkpoint behind the runtime's engine interface; frames resized, and masks made in validation, as the runtime does.
    "train": {
        "core": EVERYWHERE, "datasets": EVERYWHERE,
        "runtime": frozenset({"train/torch_engine.py", "train/data/augment.py", "train/lightning_module.py"}),
    },
    "measure": {"core": EVERYWHERE, "datasets": EVERYWHERE, "runtime": EVERYWHERE, "train": EVERYWHERE},
    "export": {
        "core": EVERYWHERE, "datasets": EVERYWHERE, "calib": EVERYWHERE, "runtime": EVERYWHERE, "train": EVERYWHERE,
        "measure": EVERYWHERE,
    },
    "serve": {"core": EVERYWHERE, "datasets": EVERYWHERE, "runtime": EVERYWHERE},
    "batch": {"core": EVERYWHERE, "datasets": EVERYWHERE, "runtime": EVERYWHERE},
    "cli": {
        name: EVERYWHERE
        for name in ("batch", "core", "datasets", "calib", "export", "measure", "runtime", "serve", "train")
    },
}  # fmt: skip
#: Packages from elsewhere that a folder may import. The runtime's own list is what an edge device installs.
PACKAGES = {
    "core": {"cv2", "numpy", "yaml"},
    "cli": {"cv2", "matplotlib", "rich", "typer", "yaml"},
    "calib": {"numpy", "onnx", "onnxruntime"},
}
NEVER = {
    "serve": {"torch", "torchvision", "lightning", "onnx", "matplotlib", "fastapi", "httpx"},
    "runtime": {"torch", "torchvision", "lightning", "onnx", "onnxsim", "matplotlib", "typer", "rich"},
}


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


# --- circles

MODULES = walker.files()
EVERY = [found for folder in FOLDERS for found in of(folder)]
RUNNING = walker.file_arrows([found for found in EVERY if not found.typing], MODULES)
TYPING = walker.file_arrows(EVERY, MODULES)


def room(file: str) -> str:
    """The folder; a native module is a place of its own, because it imports nothing."""
    return file if file.endswith(".pyi") else file.rpartition("/")[0]


def test_no_circle_of_files():
    """Imports inside functions count; those that only type checkers see are in a test of their own."""
    found = [
        [walker_import.at for pair, walker_import in RUNNING.items() if {*pair} <= {*group}]
        for group in walker.circles(RUNNING)
    ]  # fmt: skip
    assert found == []


def test_no_circle_of_folders():
    """A folder's own files are one place, each of its sub-folders another one."""
    arrows = {(room(a), room(b)) for a, b in RUNNING if room(a) != room(b)}
    found = [
        [made.at for (a, b), made in RUNNING.items() if room(a) != room(b) and {room(a), room(b)} <= {*group}]
        for group in walker.circles(arrows)
    ]
    assert found == []


def test_circles_that_only_type_checkers_see_are_few(record_property):
    """They are allowed, and reported: a name for an annotation may lead back."""
    groups = walker.circles(TYPING)
    record_property("type-checking circles", groups)
    assert sum(map(len, groups)) <= TYPE_CHECKING_CIRCLES, groups


#: Files in circles that only annotations close; lower it when one goes.
TYPE_CHECKING_CIRCLES = 3


def test_circles_are_found():
    assert walker.circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")]) == [["a", "b", "c"]]
    assert walker.circles([("a", "b"), ("b", "c"), ("a", "c")]) == []
    source = "from .b import x\ndef f():\n    from . import c"
    modules = {"seg_edge.core.a": "core/a.py", "seg_edge.core.b": "core/b.py", "seg_edge.core.c": "core/c.py"}
    assert set(walker.file_arrows(imports(source, "core/a.py"), modules)) == {
        ("core/a.py", "core/b.py"), ("core/a.py", "core/c.py"),
    }  # fmt: skip


# --- sizes: what is too large for a newcomer's ten minutes


def test_folders_hold_at_most_14_files():
    """Beside sub-folders; cli/ has a module a verb."""
    rooms = [file.parent for file in ROOT.glob("*/**/*.py") if file.relative_to(ROOT).parts[0] in {*FOLDERS} - {"cli"}]
    assert {str(found.relative_to(ROOT)): rooms.count(found) for found in rooms if rooms.count(found) > 14} == {}


def test_python_files_have_at_most_400_lines():
    folders = (*FOLDERS, "tests", "benchmarks", "models")
    sizes = {p: len(p.read_text(encoding="utf-8").splitlines()) for folder in folders for p in (ROOT / folder).rglob("*.py")}
    assert {str(path.relative_to(ROOT)): lines for path, lines in sizes.items() if lines > 400} == {}


def test_functions_of_the_export_have_at_most_60_lines():
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in (ROOT / "export").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    }
    assert long == {}


# --- words


def test_errors_of_the_library_name_fields():
    """The command translates `max_drop` into --max-drop; a Python user has no flags."""
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in {*FOLDERS} - {"cli"}
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and re.search(r"(?<![\w-])--[a-z]", ast.unparse(node))
    ]
    assert named == []


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
