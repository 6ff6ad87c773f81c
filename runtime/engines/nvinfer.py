"""The Python modules of TensorRT and TensorRT-RTX, which share one API, and the features that each version lacks.

The same code supports ``tensorrt`` 8.6 to 11 and ``tensorrt_rtx`` 1.x. A feature is detected by its flag in the module.
For flags that exist without effect, NVIDIA's documentation decides. The result names what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import distributions
from typing import Any

from ...core.errors import EngineError, UnknownNameError
from ..machine.gpu import MODULES
from ..modelfile.plan import FLAVOURS
from .base import Availability

#: The oldest supported versions.
_OLDEST = {"tensorrt": (8, 6), "rtx": (1, 0)}


@dataclass(frozen=True)
class Backend:
    """An imported module and its version.

    Attributes:
        flavour: A name of :data:`seg_edge.runtime.modelfile.plan.FLAVOURS`.
        trt: The module.
        version: Its ``__version__``.
    """

    flavour: str
    trt: Any
    version: str

    @property
    def title(self) -> str:
        return f"{FLAVOURS[self.flavour][1]} {self.version}"

    @property
    def numbers(self) -> tuple[int, ...]:
        return version_numbers(self.version)

    def lacks(self, feature: str) -> str:
        """Why this version lacks a feature of :data:`FEATURES`; empty if it has the feature."""
        return FEATURES[feature](self)

    def require(self, feature: str, option: str) -> None:
        """Raises EngineError if this version lacks ``feature``; the text names ``option``, which needs the feature."""
        if why := self.lacks(feature):
            raise EngineError(f"{option}: {self.title} can't: {why}")

    @property
    def cuda(self) -> str | None:
        """Major version of the CUDA runtime that the installed wheel is built for, from its name; None if unknown."""
        module = FLAVOURS[self.flavour][0]
        for package in distributions():
            name = str(package.metadata["Name"] or "").replace("-", "_").lower()
            if match := re.fullmatch(rf"{module}_cu(\d+)(_libs)?", name):
                return match[1]
        return None


def version_numbers(version: str) -> tuple[int, ...]:
    """``"10.3.0.post1"`` → (10, 3, 0)."""
    return tuple(int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part)  # type: ignore[index]


def module_available(flavour: str) -> Availability:
    """Whether the module can be imported. Never raises."""
    module, title = FLAVOURS[flavour]
    try:
        trt = import_module(module)
        version = str(trt.__version__)
    except Exception as error:  # loading a native module may raise ImportError, OSError, RuntimeError and others
        text = " ".join(str(error).split())[:200]
        return Availability(False, f"{title} can't be imported ({text}); {MODULES[module]}")
    if version_numbers(version) < _OLDEST[flavour]:
        oldest = ".".join(map(str, _OLDEST[flavour]))
        return Availability(False, f"{title} {version} is too old; at least {oldest} is needed", version)
    return Availability(True, version=version)


def load(flavour: str) -> Backend:
    """Imports the module of a flavour.

    Raises:
        UnknownNameError: the flavour is unknown.
        EngineError: the module is not installed, does not load or is too old; the text states the remedy.
    """
    if flavour not in FLAVOURS:
        raise UnknownNameError("engine to build for", flavour, FLAVOURS)
    state = module_available(flavour)
    if not state.ok:
        raise EngineError(f"engine {flavour}: not available: {state.reason}")
    return Backend(flavour, import_module(FLAVOURS[flavour][0]), str(state.version))


def _has(owner: str, name: str, since: str) -> Callable[[Backend], str]:
    def check(backend: Backend) -> str:
        return "" if hasattr(getattr(backend.trt, owner, None), name) else f"it has no {owner}.{name}; {since}"

    return check


def _strongly_typed(backend: Backend) -> str:
    return _has("NetworkDefinitionCreationFlag", "STRONGLY_TYPED", "it came with TensorRT 9.1")(backend)


def _other_gpu(backend: Backend) -> str:
    return _has(
        "IBuilderConfig",
        "set_compute_capability",
        "only TensorRT-RTX builds for a GPU that is not there: build on the device itself, or take `engine='rtx'`",
    )(backend)


def _version_compatible(backend: Backend) -> str:
    if backend.flavour == "rtx":
        return "its package has no lean runtime, which such an engine needs; build it with the version that will run it"
    return _has("BuilderFlag", "VERSION_COMPATIBLE", "it came with TensorRT 8.6")(backend)


def _hardware_compatible(backend: Backend) -> str:
    if backend.flavour == "rtx":
        return "one engine holds code for several GPUs instead: give several as `compute_capabilities`"
    return _has("HardwareCompatibilityLevel", "AMPERE_PLUS", "it came with TensorRT 8.6")(backend)


def _timing_cache(backend: Backend) -> str:
    if backend.flavour == "rtx":
        return "it times nothing while it builds, so there is nothing to cache (its timing cache does nothing)"
    return _has("IBuilderConfig", "create_timing_cache", "it came with TensorRT 8.0")(backend)


def _dla(backend: Backend) -> str:
    if backend.flavour == "rtx":
        return "it builds for GPUs only; take `engine='tensorrt'` on a Jetson with DLA"
    if backend.numbers >= (10, 8):
        return "10.7 was the last version with DLA for Jetson; JetPack 6 ships 10.3"
    return _has("DeviceType", "DLA", "use another version")(backend)


def _calibration_cache(backend: Backend) -> str:
    if backend.flavour == "rtx" or backend.numbers >= (10, 8):
        return "calibration caches are read up to TensorRT 10.7 here, for DLA; everything else takes INT8 from the graph"
    return _has("BuilderFlag", "INT8", "INT8 comes from the graph")(backend)


def _progress(backend: Backend) -> str:
    return "" if hasattr(backend.trt, "IProgressMonitor") else "it has no IProgressMonitor; it came with TensorRT 10"


#: Feature → a function that returns the reason why a version lacks it, or an empty text. Verified with tensorrt_rtx
#: 1.7, or in the bindings of tensorrt 8.6.1 and 10.3.0.
FEATURES: dict[str, Callable[[Backend], str]] = {
    "strongly typed": _strongly_typed,
    "other gpu": _other_gpu,
    "version compatible": _version_compatible,
    "hardware compatible": _hardware_compatible,
    "timing cache": _timing_cache,
    "dla": _dla,
    "calibration cache": _calibration_cache,
    "progress": _progress,
}
