"""Reports, which all stages return: they can be written as JSON and shown in a terminal or a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .artefact import write_json

#: Titles of the columns, and rows of cells.
Cells = tuple[Sequence[str], Sequence[Sequence[str]]]


class Report(ABC):
    """The result of a stage.

    ``repr`` and notebooks show :meth:`title` and :meth:`table`. Subclasses implement both, and :meth:`to_dict`.
    """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values: the content of the command's ``--json`` file."""

    @abstractmethod
    def title(self) -> str:
        """A one-line summary: what was done, and to what."""

    def table(self) -> Cells | None:
        """The figures as cells of text; None if the title contains everything."""
        return None

    def write(self, path: str | Path) -> None:
        """Writes :meth:`to_dict` as JSON, atomically.

        Raises:
            InputError: the file can't be written.
        """
        write_json(path, self.to_dict())

    def __repr__(self) -> str:
        cells = self.table()
        return self.title() if cells is None else f"{self.title()}\n{text_table(*cells)}"

    def _repr_html_(self) -> str:
        cells = self.table()
        from html import escape

        heading = f"<p>{escape(self.title())}</p>"
        return heading if cells is None else heading + html_table(*cells)


class MappingReport(Report, Mapping[str, Any]):
    """A report that stores the dictionary of its JSON form; ``report["rows"]`` reads a key.

    >>> class Counted(MappingReport):
    ...     def title(self) -> str:
    ...         return f"{self['images']} images"
    >>> report = Counted({"images": 3})
    >>> report, report["images"], report.to_dict()
    (3 images, 3, {'images': 3})
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    def to_dict(self) -> dict[str, Any]:
        return dict(self._data)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A text table. Columns are padded to their widest cell; columns of numbers are aligned to the right.

    >>> print(text_table(["class", "IoU %"], [["road", "94.1"], ["sky", "9.0"]]))
    class  IoU %
    road    94.1
    sky      9.0
    """
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join(map(line, (columns, *rows)))


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table in HTML, escaped."""
    from html import escape

    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(columns, 'th')}</thead><tbody>{body}</tbody></table>"


def _is_number(cell: str) -> bool:
    return not cell.strip("+-–.0123456789 %")
