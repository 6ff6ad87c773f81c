"""Options for areas. Imports the standard library and ``core`` only."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, configuration, option

#: Suffix of a file of areas → its format.
SUFFIXES = (".csv", ".jsonl", ".parquet")


@configuration
class AreaOptions(Options):
    """What is counted, and where it is written.

    >>> AreaOptions(areas="areas.csv").areas.suffix
    '.csv'

    Raises:
        InputError: a file has an unknown suffix.
    """

    zones: Path | None = option(
        None,
        help="Count in these zones too: named polygons, as JSON, GeoJSON, LabelMe's JSON or CVAT's XML.",
        metavar="FILE",
    )
    areas: Path | None = option(
        None,
        help="Write the share of every class over time, of the frame and of each zone: .csv, .jsonl or .parquet.",
        metavar="FILE",
    )
    plot: Path | None = option(None, help="Draw these shares over time: .png, .svg or .pdf.", metavar="FILE")

    def check(self) -> None:
        for name, path, valid in (("areas", self.areas, SUFFIXES), ("plot", self.plot, (".png", ".svg", ".pdf"))):
            if path is not None and path.suffix.lower() not in valid:
                raise InputError(f"`{name}`: expected a name ending in {', '.join(valid)}, got {path}")
