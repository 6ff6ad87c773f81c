"""Parameters and MACs of the catalog's networks, cached because two hundred networks take a minute to build."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from ...core.artefact import write_json
from ...core.errors import InputError
from ...train.models.costs import costs
from .cache_folder import cache_folder

_PACKAGES = ("seg-edge", "torch", "torchvision", "segmentation-models-pytorch", "timm")


def counted_costs(
    names: Sequence[str],
    classes: int,
    input_hw: tuple[int, int],
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, tuple[int, int] | str]:
    """Parameters and MACs by name; for a network that can't be built here, the reason.

    Args:
        names: Keys of the catalog.
        classes, input_hw: Number of classes and input size of the networks.
        cache: The cache folder; None is :func:`.cache_folder.cache_folder`. Counts from other versions of the packages
            are ignored.
        progress: Called with the number of networks done.
    """
    file = (cache or cache_folder()) / f"costs-{classes}-{input_hw[0]}x{input_hw[1]}-{_key()}.json"
    known = _read(file)
    before = len(known)
    result: dict[str, tuple[int, int] | str] = {}
    try:
        for done, name in enumerate(names, 1):
            if name not in known:
                try:
                    known[name] = costs(name, classes, input_hw)
                except InputError as error:
                    result[name] = str(error)
                    continue
            result[name] = known[name]
            if progress is not None:
                progress(done)
    finally:  # Ctrl-C keeps the counts so far
        if len(known) > before:
            _write(file, known)
    return result


def _key() -> str:
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package}={metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package}=missing")
    return hashlib.sha256(" ".join(versions).encode()).hexdigest()[:8]


def _read(file: Path) -> dict[str, tuple[int, int]]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {str(name): (int(params), int(macs)) for name, (params, macs) in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a missing or damaged file: count again


def _write(file: Path, known: dict[str, tuple[int, int]]) -> None:
    try:
        write_json(file, {name: list(cost) for name, cost in known.items()})
    except InputError:
        pass  # the cache is optional: a read-only home folder is no error
