from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from seg_edge.core.errors import EngineError, UnknownNameError
from seg_edge.runtime.engines.nvinfer import FEATURES, Backend, load, module_available, version_numbers


def module(**members):
    """A module with the given names, each an enumeration or class with the names in it."""
    return SimpleNamespace(**{name: SimpleNamespace(**dict.fromkeys(inside, 0)) for name, inside in members.items()})


#: The names that decide, as they stand in the bindings of each version (found in the published wheels of 8.6.1 and 10.3.0).
V8 = module(
    NetworkDefinitionCreationFlag=["EXPLICIT_BATCH"], BuilderFlag=["FP16", "INT8", "VERSION_COMPATIBLE"],
    IBuilderConfig=["create_timing_cache"], HardwareCompatibilityLevel=["AMPERE_PLUS"], DeviceType=["DLA"],
)  # fmt: skip
V10 = module(
    NetworkDefinitionCreationFlag=["EXPLICIT_BATCH", "STRONGLY_TYPED"], IProgressMonitor=[],
    BuilderFlag=["FP16", "INT8", "VERSION_COMPATIBLE"], IBuilderConfig=["create_timing_cache"],
    HardwareCompatibilityLevel=["AMPERE_PLUS"], DeviceType=["DLA"],
)  # fmt: skip
V11 = module(
    NetworkDefinitionCreationFlag=["STRONGLY_TYPED"], IProgressMonitor=[], BuilderFlag=["VERSION_COMPATIBLE"],
    IBuilderConfig=["create_timing_cache"], HardwareCompatibilityLevel=["AMPERE_PLUS"], DeviceType=["DLA"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "lacking"),
    [
        (Backend("tensorrt", V8, "8.6.1"), {"strongly typed", "progress", "other gpu"}),
        (Backend("tensorrt", V10, "10.3.0.30"), {"other gpu"}),
        (Backend("tensorrt", V10, "10.13.3"), {"other gpu", "dla", "calibration cache"}),
        (Backend("tensorrt", V11, "11.1.0"), {"other gpu", "dla", "calibration cache"}),
    ],
)
def test_what_each_version_lacks(backend, lacking):
    assert {feature for feature in FEATURES if backend.lacks(feature)} == lacking


def test_rtx_lacks_what_it_ignores():
    state = module_available("rtx")
    if not state.ok:
        pytest.skip(state.reason)
    backend = load("rtx")
    assert backend.version == state.version
    assert backend.title.startswith("TensorRT-RTX 1.")
    assert {feature for feature in FEATURES if backend.lacks(feature)} == {
        "version compatible", "hardware compatible", "timing cache", "dla", "calibration cache",
    }  # fmt: skip
    with pytest.raises(EngineError, match=r"--dla-core: TensorRT-RTX 1\..* can't: it builds for GPUs only"):
        backend.require("dla", "--dla-core")


def test_unknown_flavours():
    with pytest.raises(UnknownNameError, match="did you mean 'tensorrt'"):
        load("tensort")


def test_missing_modules_say_the_remedy(monkeypatch):
    for flavour, name in (("tensorrt", "tensorrt"), ("rtx", "tensorrt_rtx")):
        monkeypatch.setitem(sys.modules, name, None)
        state = module_available(flavour)
        assert not state.ok
        assert "can't be imported" in state.reason
        assert "pip install" in state.reason
        with pytest.raises(EngineError, match=f"engine {flavour}: not available"):
            load(flavour)


def test_modules_that_are_too_old_or_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.5.3.1"))
    assert module_available("tensorrt").reason == "TensorRT 8.5.3.1 is too old; at least 8.6 is needed"
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace())
    assert "can't be imported" in module_available("tensorrt").reason


def test_version_numbers():
    assert [version_numbers(text) for text in ("10.3.0", "8.6.1.post1", "1.7.1.116", "")] == [
        (10, 3, 0), (8, 6, 1), (1, 7, 1, 116), (),
    ]  # fmt: skip
