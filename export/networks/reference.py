"""Reference networks as model files of seg-edge, each exported once into a cache folder.

Reference networks get the same pre- and post-processing as ours: uint8 frames in, normalization inside the graph, the
runtime's kernels behind it. So the rows of a table differ in the network alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import onnx
import torch

from ...core.artefact import atomic_path
from ...core.errors import ModelFileError, UnknownNameError
from ...core.labels import Labels
from ...core.progress import Progress, Silent
from ...core.spec import ModelSpec
from ...measure.workload.untrained import RANDOM
from ...runtime.modelfile.modelfile import read_spec
from ...train.models import registry, zoo
from ...train.models.names import OUTPUT_STRIDE
from ..graph.size import check_size
from ..graph.to_onnx import to_onnx
from .cache_folder import cache_folder

#: Provenance in the spec of a network with untrained weights.
UNTRAINED = {
    "weights": RANDOM,
    "note": "random weights: the network costs the same; post-processing was fed with scores that have a street's structure",
}


def known() -> list[str]:
    """Names that :func:`reference` accepts: the published networks, the smaller ones, our own family."""
    return [*zoo.NETWORKS, *registry.MODELS]


def reference(
    name: str, input_hw: tuple[int, int], classes: int, cache: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """The ONNX file of a network of :func:`known` with random weights.

    The network is exported unless the cache has a file that the same versions of the packages made.

    Args:
        name: A name of :func:`known`.
        input_hw: Input size, multiples of 32.
        classes: Number of classes.
        cache: The cache folder; None is :func:`seg_edge.export.networks.cache_folder.cache_folder`.
        progress: Receives a line before an export begins; None is silent.

    Raises:
        UnknownNameError: no such network.
        InputError: the size is not a multiple of 32, or a package is missing.
        ModelFileError: torch can't export the network.
    """
    if name not in known():
        raise UnknownNameError("network", name, known())
    check_size(input_hw)
    versions = _versions(name)
    folder = Path(cache) if cache is not None else cache_folder()
    key = hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:8]
    path = folder / f"{name}-{input_hw[0]}x{input_hw[1]}-{classes}-{key}.onnx"
    if _is_whole(path, name):
        return path
    (progress or Silent()).say(f"exporting {name} once, into {folder}")
    torch.manual_seed(0)
    network: torch.nn.Module
    network, stride = (
        (zoo.build(name, classes), 1)
        if name in zoo.NETWORKS
        else (registry.build(name, classes).eval(), OUTPUT_STRIDE)
    )  # fmt: skip
    spec = ModelSpec(
        name=name,
        labels=Labels.numbered(classes),
        input_hw=input_hw,
        output_stride=stride,
        provenance={
            **UNTRAINED,
            "params": registry.parameters(network),
            "macs": registry.macs(network, input_hw),
            "versions": versions,
        },
    )
    model = to_onnx(network, spec)
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
    return path


def table_models(
    models: Sequence[Path],
    input_hw: tuple[int, int],
    networks: Sequence[str] | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """The files of ``bench --table``: the published networks and the smaller ones, then our family.

    A network that is among ``models`` is left out, also if ``networks`` names it: its trained file is measured instead.
    The number of classes is that of the first model, or 11 (CamVid) without models.

    Args:
        models: Exported files that the benchmark measures in any case.
        networks: Names of the networks to include; None is all of them.
        input_hw, cache, progress: See :func:`reference`.
    """
    specs = [read_spec(path) for path in models]
    classes = len(specs[0].labels) if specs else 11
    have = {spec.name for spec in specs}
    names = [name for name in networks or known() if name not in have]
    return [reference(name, input_hw, classes, cache, progress) for name in names]


def _versions(name: str) -> dict[str, str]:
    from ...core.version import __version__

    packages = ["torch", zoo.NETWORKS[name].distribution] if name in zoo.NETWORKS else ["torch"]
    versions = {"seg-edge": __version__}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "missing"  # building the network raises the error that names the remedy
    return versions


def _is_whole(path: Path, name: str) -> bool:
    try:
        return path.is_file() and read_spec(path).name == name
    except ModelFileError:
        return False  # damaged from outside, because exports are written atomically: export it again
