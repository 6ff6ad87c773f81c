"""Makes a shipped model out of a checkpoint: exported to INT8 and gated, without an image of the dataset in it.

    python models/make.py runs/camvid/best.pt --data CAMVID [--name unet-s-camvid]

The folder gets ``checkpoint.pt`` (weights in half precision: what was exported), ``model.int8.onnx``, ``model.json``, the
export's report and golden frames, which are generated scenes. Exit status 1: a limit is broken, the folder stays as it was.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from seg_edge.cli.main import main as seg_edge
from seg_edge.core.artefact import SPEC_FILE, onnx_name
from seg_edge.core.folder import replaced_folder
from seg_edge.core.shipped import CHECKPOINT, DEFAULT
from seg_edge.datasets.opening import open_dataset
from seg_edge.export.checks.golden import write_golden
from seg_edge.export.report.document import ExportReport
from seg_edge.train.checkpoint import load_checkpoint, save_checkpoint

#: Of the whole folder.
LIMIT_BYTES = 8_000_000
ENGINES = ("openvino", "onnxruntime")


def run(*words: object) -> None:
    if status := seg_edge([str(word) for word in words]):
        sys.exit(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--name", default=DEFAULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, replaced_folder(Path(__file__).parent / options.name) as made:
        work = Path(name)
        exported = work / "model"
        loaded = load_checkpoint(options.checkpoint)
        # Half the bytes; rounded to 11 significant bits, and then exported.
        save_checkpoint(made / CHECKPOINT, replace(loaded, model=loaded.model.half()))
        limits = ("--max-drop", 0.2, "--max-class-drop", 1.0)
        run("export", made / CHECKPOINT, "--int8", "--data", options.data, "--out", exported, *limits)
        scenes = ("--train", 0, "--val", 0, "--test", 3, "--size", "352x480", "--seed", 1)
        run("data", "synth", "--out", work / "scenes", *scenes)
        for file in (onnx_name("int8"), SPEC_FILE):
            shutil.copyfile(exported / file, made / file)
        report = ExportReport.read(exported)
        for step in report.steps:
            if step.file not in (None, onnx_name("int8")):
                step.file = None
                step.notes.append("not shipped: seg-edge export writes it from the checkpoint")
        report.sensitivity = []  # its plot is not shipped; report.json of the export has it
        report.write_folder(made)
        frames = [frame for frame, _ in open_dataset(work / "scenes", "test")]
        write_golden(made, frames, {"int8": made / onnx_name("int8")}, ENGINES, None)
        run("verify", made)
        size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
        if size > LIMIT_BYTES:
            sys.exit(f"{options.name}: {size} bytes, the limit is {LIMIT_BYTES}")
        print(f"{options.name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
