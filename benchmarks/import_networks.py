"""Imports networks of other packages with random weights, and records agreement and what was taken off.

    python benchmarks/import_networks.py [NAME …] [--json benchmarks/results/import_networks.json]

Needs pip install 'seg-edge[train,export,zoo]'; transformers for SegFormer. A network whose package is missing, or that
torch can't export, gets a row with the reason.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from seg_edge.core.artefact import write_json
from seg_edge.core.errors import SegEdgeError
from seg_edge.export import ImportOptions, import_network
from seg_edge.runtime.machine.system import machine

SIZE = (128, 160)


def networks() -> Iterator[tuple[str, str, Callable[[], torch.nn.Module]]]:
    """Name, package, how to make it."""
    for name in ("Unet", "FPN", "DeepLabV3Plus", "Linknet", "MAnet", "PAN", "PSPNet", "Segformer"):
        yield f"smp {name}", "segmentation_models_pytorch", lambda n=name: _smp(n, classes=11)
    yield "smp Unet, one sigmoid class", "segmentation_models_pytorch", lambda: _smp("Unet", classes=1, activation="sigmoid")
    for name in ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50"):
        yield f"torchvision {name}", "torchvision", lambda n=name: _torchvision(n)
    yield "transformers SegFormer-B0", "transformers", _segformer


def _smp(name: str, **words: Any) -> torch.nn.Module:
    made = getattr(import_module("segmentation_models_pytorch"), name)
    return made("mobilenet_v2", encoder_weights=None, **words)  # type: ignore[no-any-return]


def _torchvision(name: str) -> torch.nn.Module:
    made = getattr(import_module("torchvision.models.segmentation"), name)
    return made(weights=None, weights_backbone=None, num_classes=21)  # type: ignore[no-any-return]


def _segformer() -> torch.nn.Module:
    transformers = import_module("transformers")
    return transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=19))  # type: ignore[no-any-return]


def spread(network: torch.nn.Module) -> torch.nn.Module:
    """Gives batch normalization statistics, so that an untrained network's masks aren't flat."""
    made = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=made)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5, generator=made)  # type: ignore[union-attr]
    return network.eval()


def row(name: str, package: str, make: Callable[[], torch.nn.Module]) -> dict[str, Any]:
    """The row of one network."""
    torch.manual_seed(0)
    try:
        network = spread(make())
        with tempfile.TemporaryDirectory() as folder:
            report = import_network(network, Path(folder) / "out", ImportOptions(input_hw=SIZE))
    except ImportError as error:
        return {"network": name, "note": f"not tried: {error}"}
    except SegEdgeError as error:
        return {"network": name, "version": version(package), "note": str(error)}
    return {
        "network": name, "version": version(package), "stride": report.spec.output_stride, "removed": report.removed,
        "notes": report.notes, "engines": [each.to_dict() for each in report.compared],
    }  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of names; none: all")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name, package, make in networks():
        if given.names and not any(part in name for part in given.names):
            continue
        rows.append(row(name, package, make))
        print(rows[-1], flush=True)
    if given.json:
        write_json(given.json, {"machine": machine(), "imgsz": list(SIZE), "rows": rows})


if __name__ == "__main__":
    main()
