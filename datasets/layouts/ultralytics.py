"""Ultralytics' semantic task: a YAML file with names, images and masks."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import DataError
from ..labelfiles.semantic_yaml import SemanticYaml, find_semantic_yaml
from .base import Layout, Pairs, tree
from .naming import pair_names


def _content(root: Path) -> SemanticYaml:
    content = find_semantic_yaml(root)
    if content is None:
        raise DataError(f"dataset {root}: its YAML file is gone")
    return content


def _shown_by(root: Path) -> str | None:
    content = find_semantic_yaml(root)
    return None if content is None else content.file.name


def _pairs(root: Path, split: str) -> Pairs:
    content = _content(root)
    images, masks = content.splits[split], content.masks(split)
    names = tree(images)
    found = pair_names(names, tree(masks), str(masks))
    return [(f"{images}/{name}", f"{masks}/{found[name]}" if name in found else None) for name in names]


LAYOUT = Layout(
    key="ultralytics",
    name="Ultralytics' semantic task (a YAML file with names, images, masks)",
    shown_by=_shown_by,
    splits=lambda root: [name for name, folder in _content(root).splits.items() if folder.is_dir()],
    pairs=_pairs,
    labels=lambda root: _content(root).labels,
    coding=lambda root: _content(root).coding,
    expects=lambda root, split: _content(root).masks(split),
)
