"""Trains networks of segmentation-models-pytorch on a dataset, imports them, and records mIoU in fp32 and INT8.

    python benchmarks/import_trained.py --data ../shared/data/camvid --epochs 40 \\
        --json benchmarks/results/import_trained.json

Needs pip install 'seg-edge[train,export,zoo]'. Encoders start from random weights, or from the file of a state dict that
``--encoder`` names; nothing is downloaded. INT8 may lose ``--max-drop`` of val mIoU; layers that cost more
go back to float, and the row names them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from seg_edge.core.artefact import write_json
from seg_edge.core.errors import GateError
from seg_edge.core.options import parse_size
from seg_edge.datasets import open_dataset
from seg_edge.export import ExportOptions, ImportOptions, export, import_network
from seg_edge.runtime.machine.system import machine

NETWORKS = {"Unet": "smp U-Net-MobileNetV2", "DeepLabV3Plus": "smp DeepLabV3+-MobileNetV2"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Images:
    """The images of a split at one size, as arrays: frames uint8 (N, 3, h, w) RGB, masks int64 (N, h, w)."""

    def __init__(self, data: Path, size_hw: tuple[int, int], most: int | None) -> None:
        dataset = open_dataset(data, "train")
        self.labels = dataset.labels
        numbers = range(len(dataset))[:most]
        frames, masks = [], []
        for i in numbers:
            frame, mask = dataset.read(i)
            frames.append(cv2.resize(frame, size_hw[::-1], interpolation=cv2.INTER_LINEAR)[..., ::-1].transpose(2, 0, 1))
            masks.append(cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST))
        self.frames, self.masks = torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(masks)).long()

    def batches(self, size: int, made: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """One epoch in random order; half of the batches are mirrored."""
        mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
        order = torch.randperm(len(self.frames), generator=made)
        for chosen in order[: len(order) // size * size].split(size):
            frames, masks = (self.frames[chosen].float() / 255 - mean) / std, self.masks[chosen]
            if torch.rand((), generator=made) < 0.5:
                frames, masks = frames.flip(-1), masks.flip(-1)
            yield frames, masks


def trained(name: str, images: Images, given: argparse.Namespace) -> torch.nn.Module:
    """A network after ``--epochs``: AdamW, one cycle, cross entropy without void."""
    torch.manual_seed(given.seed)
    made = torch.Generator().manual_seed(given.seed)
    kind = getattr(import_module("segmentation_models_pytorch"), name)
    network: torch.nn.Module = kind("mobilenet_v2", encoder_weights=None, classes=len(images.labels))
    if given.encoder is not None:
        network.encoder.load_state_dict(torch.load(given.encoder, weights_only=True))  # type: ignore[operator, union-attr]
    optimizer = torch.optim.AdamW(network.parameters(), given.lr, weight_decay=1e-4)
    steps = given.epochs * (len(images.frames) // given.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, given.lr, total_steps=steps)
    network.train()
    for epoch in range(given.epochs):
        losses, begin = [], time.perf_counter()
        for frames, masks in images.batches(given.batch, made):
            loss = torch.nn.functional.cross_entropy(network(frames), masks, ignore_index=images.labels.ignore_index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss))
        print(f"{name} epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.perf_counter() - begin:.0f} s", flush=True)
    return network.eval()


def row(name: str, images: Images, given: argparse.Namespace) -> dict[str, Any]:
    """Trains, imports and quantizes one network."""
    network = trained(name, images, given)
    with tempfile.TemporaryDirectory() as folder:
        street, small = Path(folder) / "street", Path(folder) / "small"
        options = ImportOptions(
            input_hw=given.imgsz, mean=MEAN, std=STD, scale=1 / 255, rgb=True, resize="bilinear", data=given.data
        )
        imported = import_network(network, street, options)
        words: dict[str, Any] = {"int8": True, "data": given.data, "max_drop": given.max_drop, "fallback": given.fallback}
        note = ""
        try:
            report = export(street, small, ExportOptions(**words)).to_dict()
        except GateError as error:
            note, report = str(error), error.report.to_dict()
    return {
        "network": NETWORKS[name], "version": version("segmentation_models_pytorch"), "epochs": given.epochs,
        "engines": [each.to_dict() for each in imported.compared],
        "steps": [{key: step.get(key) for key in ("step", "file", "bytes", "miou", "latency_ms", "note")}
                  for step in report["steps"]],
        "fallback": report.get("fallback"), "note": note,
    }  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=list(NETWORKS), help="of segmentation-models-pytorch")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--imgsz", type=parse_size, default=(352, 480))
    parser.add_argument("--images", type=int, help="use only so many training images, for a trial")
    parser.add_argument("--encoder", type=Path, help="state dict of the encoder")
    parser.add_argument("--max-drop", type=float, default=0.005)
    parser.add_argument("--fallback", type=int, default=8, help="most convolutions that may go back to float")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    images = Images(given.data, given.imgsz, given.images)
    rows = []
    for name in given.names:
        rows.append(row(name, images, given))
        print(rows[-1], flush=True)
    if given.json:
        write_json(given.json, {"machine": machine(), "imgsz": list(given.imgsz), "rows": rows})


if __name__ == "__main__":
    main()
