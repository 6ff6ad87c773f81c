"""Datasets: reading any layout, checking, converting, generating.

>>> from seg_edge.datasets import open_dataset
>>> data = open_dataset("data", "val")
>>> frame, mask = data.read(0)  # uint8 (H, W, 3) BGR and uint8 (H, W)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checking import CheckReport, check
    from .composites.options import ComposeOptions
    from .composites.writer import Composed, compose
    from .converters.writer import Converted, convert
    from .dataset import SegDataset
    from .download import Fetched, fetch
    from .opening import open_dataset
    from .options import CheckOptions, ConvertOptions, ReadOptions, SplitOptions
    from .splitting import Split, split_classes
    from .synth.options import SynthOptions
    from .synth.scene import StreetScene
    from .synth.writer import Synthesized, synthesize

__all__ = [
    "CheckOptions",
    "CheckReport",
    "ComposeOptions",
    "Composed",
    "ConvertOptions",
    "Converted",
    "Fetched",
    "ReadOptions",
    "SegDataset",
    "Split",
    "SplitOptions",
    "StreetScene",
    "SynthOptions",
    "Synthesized",
    "check",
    "compose",
    "convert",
    "fetch",
    "open_dataset",
    "split_classes",
    "synthesize",
]

# Loaded on first use: the command reads the options' classes, and says what is wrong with them, without NumPy and OpenCV.
_HOMES = {
    "CheckOptions": ".options",
    "CheckReport": ".checking",
    "ComposeOptions": ".composites.options",
    "Composed": ".composites.writer",
    "ConvertOptions": ".options",
    "Converted": ".converters.writer",
    "Fetched": ".download",
    "ReadOptions": ".options",
    "SegDataset": ".dataset",
    "Split": ".splitting",
    "SplitOptions": ".options",
    "StreetScene": ".synth.scene",
    "SynthOptions": ".synth.options",
    "Synthesized": ".synth.writer",
    "check": ".checking",
    "compose": ".composites.writer",
    "convert": ".converters.writer",
    "fetch": ".download",
    "open_dataset": ".opening",
    "split_classes": ".splitting",
    "synthesize": ".synth.writer",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
