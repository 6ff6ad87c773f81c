"""Many images at once: folders, lists, videos and buckets to masks, in the formats that people use.

>>> report = predict("street.png", "masks", options=PredictOptions(formats="mask"))
>>> report.images, report.failed
(1, 0)

Importing a name loads only its module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import PredictOptions
    from .predicting import predict
    from .report import PredictReport
    from .segment import Segment

_HOMES = {
    "PredictOptions": ".options",
    "PredictReport": ".report",
    "Segment": ".segment",
    "predict": ".predicting",
}

__all__ = ["PredictOptions", "PredictReport", "Segment", "predict"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
