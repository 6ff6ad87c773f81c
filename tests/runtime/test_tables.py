"""The tables that help texts read say what the modules behind them do, and reading them loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from seg_edge.runtime.engines import engine_class
from seg_edge.runtime.engines.table import TABLE, choices, names
from seg_edge.runtime.modelfile.plan import FLAVOURS, PLAN_SUFFIXES
from seg_edge.runtime.sinks import table as sinks
from seg_edge.runtime.sources import table as sources


@pytest.mark.parametrize("name", TABLE)
def test_engines(name):
    kind, row = engine_class(name), TABLE[name]
    assert (kind.name, kind.suffixes, kind.device_kind == "GPU") == (name, row.suffixes, row.gpu)


def test_engine_files_are_opened_by_the_flavours():
    assert [names(suffix) for suffix in PLAN_SUFFIXES] == [tuple(FLAVOURS)] * 2
    assert choices() == ("auto", *TABLE)


@pytest.mark.parametrize("package", ["sinks", "sources"])
def test_schemes_are_opened_by_what_the_table_names(package):
    for module, symbol in (sinks if package == "sinks" else sources).SCHEMES.values():
        assert callable(getattr(import_module(f"seg_edge.runtime.{package}{module}"), symbol))


def test_forms_name_the_schemes():
    """All but those that stand for another one with or without TLS, and those that docs/video.md lists only."""
    assert {name for name in sinks.SCHEMES if f"{name}://" not in sinks.FORMS} == {"rtmps", "rtsps"}
    absent = {name for name in sources.SCHEMES if f"{name}://" not in sources.FORMS.replace("http(s)", "http")}
    assert absent == {"file", "https", "rtmp", "rtsps", "udp"}


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_reading_the_tables_loads_nothing_heavy():
    modules = ("engines.table", "sinks.table", "sources.table", "sources.options")
    code = "import " + ", ".join(f"seg_edge.runtime.{module}" for module in modules)
    assert not {"numpy", "cv2", "rich", "typer"} & loaded(code)


def test_an_engine_behind_the_one_that_is_taken_is_not_imported(tiny_model):
    first = next(name for name in names(".onnx") if engine_class(name).available().ok)
    code = f"from seg_edge.runtime import open_engine\nprint(open_engine({str(tiny_model)!r}).name)"
    modules = loaded(code)
    assert first in modules
    behind = {"openvino", "onnxruntime"} - {first}
    assert not behind & modules
