"""Errors a user can act on.

SegEdgeError                 exit code 1; its text is the one line that the command prints; fields stand in `backticks`
├── InputError               a path, option or file that can't be used
│   ├── UnknownNameError     a name that is not in a table; carries the nearest valid one
│   ├── DataError            a dataset, image or label that is missing, unreadable or out of range
│   └── ModelFileError       a checkpoint or model file that is missing, damaged or of another kind
├── EngineError              an inference engine that is missing or failed
├── SourceError              a camera, video or folder that can't be opened or stopped delivering
├── SinkError                an output that can't be opened or written
├── ProcessError             another process of the same training ended, or can't be reached
├── DownloadError            a server that can't be reached, or sent something unexpected
└── GateError                exit code 3; a stated limit (`max_drop`, `min_fps`, …) was broken
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SegEdgeError(Exception):
    """An error that the user can fix. ``str(error)`` is one line: what, where, received, expected, remedy.

    The text names arguments and options as in Python, in backticks: ```max_drop```, ```head='labels'```. The command
    line replaces them by its options: ``--max-drop``, ``--head labels``.
    """

    exit_code = 1


class InputError(SegEdgeError, ValueError):
    """A path, option or file that can't be used."""


class UnknownNameError(InputError):
    """A name that is not in a table.

    Args:
        kind: Kind of the name, for the message (``"model"``, ``"engine"``).
        name: The received name.
        valid: The valid names.
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        names = sorted(valid)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}: {hint}valid names: {', '.join(names)}")


class DataError(InputError):
    """A dataset, image or label that is missing, unreadable or out of range."""


class ModelFileError(InputError):
    """A checkpoint or model file that is missing, damaged or of another kind."""


class EngineError(SegEdgeError):
    """An inference engine that is missing or failed."""


class SourceError(SegEdgeError):
    """A camera, video or folder that can't be opened or stopped delivering."""


class SinkError(SegEdgeError):
    """An output that can't be opened or written."""


class ProcessError(SegEdgeError):
    """Another process of the same training ended, or can't be reached.

    Args:
        text: The message.
        said: The other process has already printed the message.
    """

    def __init__(self, text: str, said: bool = False) -> None:
        super().__init__(text)
        self.said = said


class DownloadError(SegEdgeError):
    """A server that can't be reached, or sent something unexpected."""


class GateError(SegEdgeError):
    """A limit that the user stated was broken."""

    exit_code = 3
