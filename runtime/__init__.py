"""The runtime: engines, segmenter, sources, sinks, pipeline. Never imports torch.

>>> from seg_edge.runtime import Pipeline, Segmenter, open_sink, open_source
>>> with Segmenter("model.int8.onnx") as seg, open_source("street.mp4") as source, open_sink("out.mp4", source.fps) as sink:
...     stats = Pipeline(source, seg, [sink]).run()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engines import Engine, open_engine
    from .frame.result import Result
    from .modelfile.modelfile import read_spec, resolve_model
    from .pipeline.pipeline import Pipeline
    from .segmenter import Segmenter
    from .sinks import CallbackSink, Sink, open_sink
    from .sources import CameraOptions, LiveOptions, PlaybackOptions, Source, SourceFrame, VideoOptions, open_source

__all__ = [
    "CallbackSink",
    "CameraOptions",
    "Engine",
    "LiveOptions",
    "Pipeline",
    "PlaybackOptions",
    "Result",
    "Segmenter",
    "Sink",
    "Source",
    "SourceFrame",
    "VideoOptions",
    "open_engine",
    "open_sink",
    "open_source",
    "read_spec",
    "resolve_model",
]

# Loaded on first use, because reading a model's spec needs neither OpenCV nor the kernels.
_HOMES = {
    "CallbackSink": ".sinks",
    "CameraOptions": ".sources",
    "Engine": ".engines",
    "LiveOptions": ".sources",
    "Pipeline": ".pipeline.pipeline",
    "PlaybackOptions": ".sources",
    "Result": ".frame.result",
    "Segmenter": ".segmenter",
    "Sink": ".sinks",
    "Source": ".sources",
    "SourceFrame": ".sources",
    "VideoOptions": ".sources",
    "open_engine": ".engines",
    "open_sink": ".sinks",
    "open_source": ".sources",
    "read_spec": ".modelfile.modelfile",
    "resolve_model": ".modelfile.modelfile",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
