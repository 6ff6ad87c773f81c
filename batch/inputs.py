"""Which images a run takes, and what their results are called."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..core.errors import SourceError
from ..datasets.layouts import IMAGE_SUFFIXES
from .remote import Remote, is_remote

#: Files that are read as videos.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".ts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv")
#: Folders below the output folder that hold results.
RESULT_FOLDERS = ("masks", "overlays", "palette", "labelme", "geojson", "yolo", "confidence")
#: Text files with a path in each line.
LIST_SUFFIXES = (".txt", ".lst")


class Item(NamedTuple):
    """An image or a video.

    Attributes:
        path: Path, or address of an object.
        name: Name of its results: sub-folders are kept, the suffix is not (unless another file differs in nothing else).
        file: Its file name as annotations say it: sub-folders and suffix are kept.
        remote: The store of an object; None for a local file.
    """

    path: str
    name: str
    file: str
    remote: Remote | None = None

    @property
    def is_video(self) -> bool:
        return self.path.lower().endswith(VIDEO_SUFFIXES)

    def read(self) -> bytes:
        """The content.

        Raises:
            OSError: it can't be read.
        """
        if self.remote is not None:
            return self.remote.read(self.path)
        with open(self.path, "rb") as file:
            return file.read()


def find_items(sources: Sequence[str], out: Path | None = None) -> Iterator[Item]:
    """The images and videos of all sources, in order.

    Args:
        sources: Images, videos, folders (with sub-folders), patterns such as ``in/**/*.jpg``, lists (``.txt``, ``.lst``:
            a path in each line), addresses such as ``s3://bucket/prefix``. Hidden files and folders are left out. Folders
            are listed one by one, so that memory doesn't grow with their number.
        out: The output folder, left out where it lies in a source.

    Raises:
        SourceError: a source is missing, unreadable or without images.
    """
    several = len(sources) > 1
    roots = Counter(_prefix(source) for source in sources)
    named: dict[str, str] = {}
    given: set[str] = set()
    for source in sources:
        # Of several folders, each keeps its name in front, so that equal files in them stay apart.
        prefix = _prefix(source) if several else ""
        if prefix and roots[prefix] > 1:
            raise SourceError(
                f"source {source}: two sources are called {prefix!r}, so their results would be mixed; run them apart, or "
                "name the folder above"
            )
        found = False
        for item in _of(source, prefix, out):
            found = True
            if several:
                other = named.setdefault(item.name, item.path)
                if other != item.path:
                    raise SourceError(
                        f"source {source}: {item.path} and {other} are both called {item.name!r}, so one result would "
                        "replace the other; run them apart, or name the folder above"
                    )
                if item.path in given:
                    continue
                given.add(item.path)
            yield item
        if not found:
            raise SourceError(
                f"source {source}: no images in it; expected files ending in {', '.join(IMAGE_SUFFIXES)}; sub-folders count"
            )


def count_items(sources: Sequence[str], out: Path | None = None) -> tuple[int, bool]:
    """The number of images and videos, and whether there are videos. Arguments and errors as of :func:`find_items`."""
    if len(sources) == 1 and not is_remote(sources[0]) and Path(sources[0]).is_dir():
        # Without the names, which take most of the time.
        root = Path(sources[0])
        count = sum(len(files) for _folder, files in _walked(root, out, set()))
        if count:
            return count, False
    count, videos = 0, False
    for item in find_items(sources, out):
        count += 1
        videos |= item.is_video
    return count, videos


def sharded(items: Iterable[Item], shard: tuple[int, int] | None) -> Iterator[Item]:
    """Every n-th item from the i-th on: (i, n)."""
    part, parts = shard or (1, 1)
    for number, item in enumerate(items):
        if number % parts == part - 1:
            yield item


def _prefix(source: str) -> str:
    """What stands before the names of a folder's files."""
    if is_remote(source):
        return PurePosixPath(source.rstrip("/")).name
    path = Path(source)
    return path.resolve().name if path.is_dir() else ""


def _of(source: str, prefix: str, out: Path | None) -> Iterator[Item]:
    if is_remote(source):
        remote = Remote(source)
        yield from _named(((path, remote.relative(path)) for path in remote.images(IMAGE_SUFFIXES)), prefix, remote)
        return
    path = Path(source)
    if path.is_dir():
        for folder, names in _walked(path, out, set()):
            # Texts: a path object for each of a hundred thousand files would take longer than the rest of a resumed run.
            here = "" if folder == path else f"{folder.relative_to(path).as_posix()}/"
            at = os.path.join("" if folder == Path() else str(folder), "")
            yield from _named([(at + name, here + name) for name in names], prefix)
    elif path.exists():
        suffix = path.suffix.lower()
        if suffix in LIST_SUFFIXES:
            yield from _named(_listed(path), prefix)
        else:
            yield Item(str(path), path.stem, path.name)
    elif glob.has_magic(source):
        root = _fixed_part(source)
        files = (file for file in sorted(glob.glob(source, recursive=True)) if _wanted(Path(file).name))
        yield from _named([(file, os.path.relpath(file, root)) for file in files], prefix)
    else:
        raise SourceError(
            f"source {source}: no such file or folder; expected an image, a folder of images (with sub-folders), a video, a "
            "pattern, a list (.txt) or an address such as s3://BUCKET/PREFIX"
        )


def _walked(folder: Path, out: Path | None, above: set[tuple[int, int]]) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below, each with the names of its images."""
    try:
        state = folder.stat()
        if (state.st_dev, state.st_ino) in above:  # a link to a folder above
            return
        names, folders = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(name)
                elif name.lower().endswith(IMAGE_SUFFIXES):
                    names.append(name)
    except OSError as error:
        raise SourceError(f"source {folder}: the folder can't be read ({error.strerror}); check its permissions") from error
    yield folder, sorted(names)
    for name in sorted(folders):
        sub = folder / name
        if out is not None and out.exists() and (sub.samefile(out) or (name in RESULT_FOLDERS and folder.samefile(out))):
            continue
        yield from _walked(sub, out, above | {(state.st_dev, state.st_ino)})


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)


def _wanted(name: str) -> bool:
    return _is_image(name) or (not name.startswith(".") and name.lower().endswith(VIDEO_SUFFIXES))


def _named(files: Iterable[tuple[str, str]], prefix: str, remote: Remote | None = None) -> Iterator[Item]:
    """Items of (path, path below the root). Files that differ in the suffix only keep it in their names."""
    pairs = list(files)
    all_files = {relative for _, relative in pairs}
    each = [_stem(relative) for _, relative in pairs]
    stems = Counter(each)
    front = f"{prefix}/" if prefix else ""
    for (path, relative), stem in zip(pairs, each, strict=True):
        # "a.jpg" and "a.jpg.png": the second one's stem is the first one's whole name.
        name = stem if stems[stem] == 1 and stem not in all_files else relative
        yield Item(path, front + name, front + relative, remote)


def _stem(relative: str) -> str:
    """A path without its suffix.

    >>> _stem("a.b/c.tar.gz"), _stem("a.b/c"), _stem(".c")
    ('a.b/c.tar', 'a.b/c', '.c')
    """
    slash, dot = relative.rfind("/"), relative.rfind(".")
    return relative[:dot] if slash + 1 < dot < len(relative) - 1 else relative


def _listed(file: Path) -> list[tuple[str, str]]:
    """The paths in a list: relative to its folder, or absolute."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"source {file}: can't be read as a list of paths ({error}); expected UTF-8, a path a line"
        ) from error
    pairs = []
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("#"):
            continue
        path = Path(line) if Path(line).is_absolute() else file.parent / line
        try:
            relative = path.resolve().relative_to(file.parent.resolve()).as_posix()
        except ValueError:
            relative = path.resolve().as_posix().lstrip("/")
        pairs.append((str(path), relative))
    return list(dict.fromkeys(pairs))


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern before the first one with a wildcard."""
    parts = Path(pattern).parts
    fixed = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return os.path.join(*fixed) if fixed else "."
