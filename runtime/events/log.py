"""Events as lines of JSON, appended to a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ...core.errors import InputError


class EventLog:
    """Appends messages to a file; each is on disk when :meth:`add` returns. A line that a kill cut off is removed first.

    Args:
        path: The file; created if it is missing.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "ab+")
        except OSError as error:
            raise InputError(f"`events`: {path} can't be written ({error.strerror}); choose another file") from error
        size = self._file.seek(0, os.SEEK_END)
        while size and self._last_byte(size) != b"\n":
            start = max(size - 4096, 0)
            self._file.seek(start)
            whole = self._file.read(size - start).rfind(b"\n")
            size = start + whole + 1 if whole >= 0 else start
        self._file.truncate(size)

    def _last_byte(self, size: int) -> bytes:
        self._file.seek(size - 1)
        return self._file.read(1)

    def add(self, message: dict[str, Any]) -> None:
        """Appends a message."""
        self._file.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file. May be called twice."""
        self._file.close()
