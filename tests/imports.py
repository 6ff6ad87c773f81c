"""Reads every import of the package's files, wherever it stands, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("batch", "calib", "cli", "core", "datasets", "export", "measure", "runtime", "serve", "train")


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        file: Where it stands, relative to the repository.
        line: On which line.
        module: Its dotted name; what is imported from a package by a relative import is written out in full.
        late: It is imported when a function runs.
        typing: It stands under ``if TYPE_CHECKING``, and is never imported at run time.
    """

    file: str
    line: int
    module: str
    late: bool
    typing: bool

    @property
    def folder(self) -> str:
        """The folder of this repository that it leads to, or ""."""
        parts = self.module.split(".")
        return parts[1] if parts[0] == "seg_edge" and len(parts) > 1 and parts[1] in FOLDERS else ""

    @property
    def at(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports(source: str, file: str) -> Iterator[Import]:
    """Every import of a file, wherever it stands."""

    def walk(node: ast.AST, late: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(file, node.lineno, name.name, late, typing)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["seg_edge", *Path(file).parts[:-1]]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            for name in node.names:
                yield Import(file, node.lineno, f"{base}.{name.name}", late, typing)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.body:
                yield from walk(child, late, True)
            for child in node.orelse:
                yield from walk(child, late, typing)
        else:
            late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, late, typing)

    return walk(ast.parse(source), False, False)


def of(folder: str) -> list[Import]:
    """All imports below a folder of the repository."""
    sources = sorted((ROOT / folder).rglob("*.py"))
    assert sources
    return [
        found
        for file in sources
        for found in imports(file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix())
    ]  # fmt: skip


def files() -> dict[str, str]:
    """Dotted name of every module of the package → its file. A native module counts by its stub."""
    paths = [ROOT / "__init__.py", *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py*") if p.suffix != ".pyc")]
    found = {}
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(["seg_edge", *parts]).removesuffix(".__init__")] = path.relative_to(ROOT).as_posix()
    return found


def file_arrows(every: Iterable[Import], modules: Mapping[str, str]) -> dict[tuple[str, str], Import]:
    """(importing file, imported file) → the import. A name of a package that is no module leads to its ``__init__``."""
    arrows = {}
    for found in every:
        target = modules.get(found.module) or modules.get(found.module.rpartition(".")[0])
        if target is not None and target != found.file:
            arrows[found.file, target] = found
    return arrows


def circles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The strongly connected groups of more than one place (Tarjan, 1972), each sorted."""
    to: dict[str, list[str]] = {}
    for a, b in arrows:
        to.setdefault(a, []).append(b)
        to.setdefault(b, [])
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(place: str) -> None:
        number[place] = lowest[place] = len(number)
        stack.append(place)
        for other in to[place]:
            if other not in number:
                visit(other)
                lowest[place] = min(lowest[place], lowest[other])
            elif other in stack:
                lowest[place] = min(lowest[place], number[other])
        if lowest[place] == number[place]:
            at = stack.index(place)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1:
                groups.append(group)

    for place in to:
        if place not in number:
            visit(place)
    return groups
