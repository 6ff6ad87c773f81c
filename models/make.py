"""Makes a shipped model out of a checkpoint: exported to INT8 and gated, without an image of the dataset in it.

    python models/make.py runs/camvid/best.pt --data CAMVID --name unet-s-camvid
    python models/make.py runs/person/best.pt --data data/people.yaml --name unet-person --things pedestrian,bicyclist

The folder gets ``checkpoint.pt`` (weights in half precision: what was exported), ``model.int8.onnx``, ``model.json``, the
export's report and golden frames. These are generated street scenes of the network's input size, or, with ``--things``,
composites of such scenes with these things: the three of 24 in which the network finds most. The card, ``README.md``, is
written by hand and stays. The colours of the classes are those of the data. Exit status 1: a limit is broken, the folder
stays as it was.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg_edge import Segmenter
from seg_edge.cli.main import main as seg_edge
from seg_edge.core.artefact import SPEC_FILE, onnx_name
from seg_edge.core.folder import replaced_folder
from seg_edge.core.options import show_size
from seg_edge.core.shipped import CARD, CHECKPOINT, DEFAULT, FOLDER, LIMIT_BYTES, names
from seg_edge.datasets.dataset import Frame
from seg_edge.datasets.opening import open_dataset
from seg_edge.export.checks.golden import write_golden
from seg_edge.export.report.document import ExportReport
from seg_edge.train.checkpoint import load_checkpoint, save_checkpoint

ENGINES = ("openvino", "onnxruntime")


def run(*words: object) -> None:
    if status := seg_edge([str(word) for word in words]):
        sys.exit(status)


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def scenes(work: Path, size_hw: tuple[int, int]) -> list[Frame]:
    """Three generated scenes, uint8 (H, W, 3) BGR."""
    counts = ("--train", 0, "--val", 0, "--test", 3, "--size", show_size(size_hw), "--seed", 1)
    run("data", "synth", "--out", work / "scenes", *counts)
    return [frame for frame, _ in open_dataset(work / "scenes", "test")]


def composites(work: Path, things: str, model: Path) -> list[Frame]:
    """Of 24 composites of generated scenes, the three with most pixels that aren't of the network's first class."""
    run("data", "synth", "--out", work / "scenes", "--train", 8, "--val", 0, "--size", "352x480", "--seed", 1)
    counts = ("--train", 24, "--val", 0, "--plain", 0, "--empty", 0, "--seed", 1)
    run("data", "compose", work / "scenes", "--things", things, "--out", work / "composites", *counts)
    frames = [frame for frame, _ in open_dataset(work / "composites", "train")]
    with Segmenter(model, ENGINES[-1], threads=1) as segmenter:
        return sorted(frames, key=lambda frame: -np.count_nonzero(segmenter(frame)))[:3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--name", default=DEFAULT)
    parser.add_argument("--things", help="classes of generated scenes that the golden frames shall show large")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, replaced_folder(FOLDER / options.name) as made:
        work = Path(name)
        exported = work / "model"
        loaded = load_checkpoint(options.checkpoint)
        labels = open_dataset(options.data, "val").labels
        if labels.names == loaded.spec.labels.names:
            loaded = replace(loaded, spec=loaded.spec.with_(labels=labels))
        # Half the bytes; rounded to 11 significant bits, and then exported.
        save_checkpoint(made / CHECKPOINT, replace(loaded, model=loaded.model.half()))
        limits = ("--max-drop", 0.2, "--max-class-drop", 1.0)
        run("export", made / CHECKPOINT, "--int8", "--data", options.data, "--out", exported, *limits)
        for file in (onnx_name("int8"), SPEC_FILE):
            shutil.copyfile(exported / file, made / file)
        report = ExportReport.read(exported)
        for step in report.steps:
            if step.file not in (None, onnx_name("int8")):
                step.file = None
                step.notes.append("not shipped: seg-edge export writes it from the checkpoint")
        report.sensitivity = []  # its plot is not shipped; report.json of the export has it
        report.write_folder(made)
        if options.things:
            frames = composites(work, options.things, made / onnx_name("int8"))
        else:
            frames = scenes(work, loaded.spec.input_hw)
        write_golden(made, frames, {"int8": made / onnx_name("int8")}, ENGINES, None)
        run("verify", made)
        card = FOLDER / options.name / CARD
        if card.is_file():
            shutil.copyfile(card, made / CARD)
        size, rest = size_of(made), sum(size_of(FOLDER / other) for other in names() if other != options.name)
        if size + rest > LIMIT_BYTES:
            sys.exit(f"{options.name}: {size} bytes, with the other models {size + rest}; the limit is {LIMIT_BYTES}")
        print(f"{options.name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
