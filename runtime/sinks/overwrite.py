"""Refuses sinks that would overwrite a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.errors import SinkError
from ..sources.table import source_path
from .table import VIDEO_SUFFIXES

#: Folders that a folder sink and ``predict`` write into.
WRITTEN = ("masks", "overlays")


def refuse_overwrite(sources: Sequence[str | Path | int], files: Sequence[Path]) -> None:
    """Checks that no source would be overwritten.

    Args:
        sources: Sources as for :func:`seg_edge.runtime.open_source`; those that are not files or folders are ignored.
        files: Files that will be written, and folders in which files will be written; they need not exist.

    Raises:
        SinkError: a file or folder is a source, or contains one.
    """
    for path in filter(None, map(source_path, sources)):
        for file in files:
            if not (path.exists() and file.exists()):
                continue
            if file.samefile(path):
                consequence = "folder: its images would be replaced" if file.is_dir() else "itself, and would replace it"
                raise SinkError(f"sink {file}: is the source {consequence}; choose another name")
            if file.is_dir() and path.is_file() and path.resolve().parent == file.resolve():
                raise SinkError(f"sink {file}: the source {path} lies in it and could be replaced; choose another folder")


def written_by(sink: str | Path) -> list[Path]:
    """The file or the folders that a sink of this name would write; empty for a window, a server or standard output."""
    name = str(sink)
    if name in ("none", "window", "pipe:") or "://" in name:
        return []
    if name.startswith("pipe:"):
        return [Path(name.removeprefix("pipe:"))]
    if Path(name).suffix.lower() in VIDEO_SUFFIXES:
        return [Path(name)]
    return [Path(name) / folder for folder in WRITTEN]
