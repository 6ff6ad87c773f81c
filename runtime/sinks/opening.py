"""Opens sinks by name; imports only the module of the requested sink."""

from __future__ import annotations

import difflib
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from ...core.errors import SinkError
from ..sources.table import redact
from .base import NullSink, Sink
from .table import EXPECTED, NAMES, SCHEMES, VIDEO_SUFFIXES

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://.*", re.IGNORECASE | re.DOTALL)


def open_sink(text: str | Path, fps: float | None = None, live: bool = False, sound: str | None = None) -> Sink:
    """Opens a sink by name.

    >>> with open_sink("overlays/") as sink:
    ...     sink.about
    'masks as PNG, overlays as JPEG'

    Args:
        text: ``"window"``, ``"none"``, a file name ending in .mp4, .m4v or .mov, a folder (that exists, or whose name
            ends in /), ``"pipe:"`` or ``"pipe:PATH"`` (raw masks), or an address of :data:`SCHEMES`.
        fps: Frame rate of a recording; None is 30.
        live: The source is live: recordings keep the arrival times, and frames of another size are scaled.
        sound: A video file whose sound a recording copies.

    Raises:
        SinkError: the name is unknown, or the sink can't be opened.
    """
    name = str(text)
    if name == "none":
        return NullSink(name)
    if name == "window":
        return _of(".window", "WindowSink", name)
    if name.startswith("pipe:"):
        return _of(".pipe", "PipeSink", name, live)
    address = _SCHEME.fullmatch(name)
    if address:
        scheme = address[1].lower()
        if scheme in SCHEMES:
            module, symbol = SCHEMES[scheme]
            return _of(module, symbol, name, fps)
        near = difflib.get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}://? " if near else ""
        raise SinkError(f"sink {redact(name)}: {scheme}:// is unknown; {hint}expected {EXPECTED}")
    if Path(name).suffix.lower() in VIDEO_SUFFIXES:
        return _of(".video", "open_video", name, fps, live, sound)
    if name.endswith("/") or Path(name).is_dir():
        return _of(".images", "ImageFolderSink", name)
    near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SinkError(f"sink {name}: unknown; {hint}expected {EXPECTED}")


def _of(module: str, symbol: str, *arguments: Any) -> Sink:
    sink: Sink = getattr(import_module(module, __package__), symbol)(*arguments)
    return sink
