"""Checks of a stage's inputs before any heavy import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.artefact import REPORT_JSON, onnx_name
from ..core.errors import DataError, InputError, ModelFileError
from ..core.folder import check_target
from ..core.shipped import CHECKPOINT, hint, shipped
from ..runtime.modelfile.modelfile import read_spec

if TYPE_CHECKING:
    from .options import ExportOptions


def check_checkpoint(path: str | Path) -> None:
    """Raises ModelFileError unless the path is a checkpoint file or the name of a shipped model."""
    file = shipped(path, CHECKPOINT)
    if not file.is_file():
        problem = "is a folder" if file.is_dir() else "no such file"
        raise ModelFileError(f"{file}: {problem}; expected a checkpoint such as runs/NAME/best.pt{hint(file)}")
    if not os.access(file, os.R_OK):
        raise ModelFileError(f"{file}: may not be read; change its permissions")


def check_exportable(path: str | Path, options: ExportOptions) -> Path | None:
    """The fp32 graph to export from, for an artefact; None for a checkpoint.

    Raises:
        ModelFileError: neither a checkpoint nor an artefact with an fp32 graph.
        InputError: options that need a torch module, or that a graph can't follow.
    """
    file = shipped(path, CHECKPOINT)
    if file.is_dir():
        found = file / onnx_name("fp32")
        if not found.is_file():
            raise ModelFileError(
                f"{file}: holds no {found.name} to export from; expected a checkpoint, or an artefact of seg-edge import"
            )
        file = found
    elif file.suffix != ".onnx":
        check_checkpoint(path)
        return None
    spec = read_spec(file)
    if options.prune is not None:
        raise InputError(f"`prune`: needs a torch module, {file} is a graph; prune the checkpoint that it came from")
    if spec.precision != "fp32" or spec.output != "logits":
        what = f"{spec.precision} with {spec.output}"
        raise ModelFileError(f"{file}: is {what}; expected fp32 with logits; export its checkpoint, or import it again")
    if options.input_hw not in (None, spec.input_hw):
        height, width = spec.input_hw
        raise InputError(
            f"`input_hw`: {file} is fixed at {height}x{width}; leave it out, or import the network again with it"
        )
    return file


def check_foreign(path: str | Path) -> None:
    """Raises ModelFileError unless the path is a file that can be a network of another tool."""
    file = Path(path)
    if not file.is_file():
        problem = "is a folder" if file.is_dir() else "no such file"
        raise ModelFileError(f"{file}: {problem}; expected an ONNX file of another tool")
    if file.suffix in (".pt", ".pth", ".ckpt", ".safetensors"):
        raise ModelFileError(
            f"{file}: holds weights, not a network; export it to ONNX with the tool that trained it, or pass the torch "
            "module to seg_edge.export.import_network"
        )
    if file.suffix in (".tflite", ".pb", ".h5", ".keras", ".pdmodel", ".xml", ".engine", ".plan"):
        raise ModelFileError(f"{file}: expected an ONNX file, got {file.suffix}; convert it to ONNX first")
    if not os.access(file, os.R_OK):
        raise ModelFileError(f"{file}: may not be read; change its permissions")


def check_data(root: Path | None) -> None:
    """Raises DataError if a dataset is given, but missing or not readable."""
    if root is None:
        return
    if not root.exists():
        raise DataError(f"dataset {root}: no such folder; pass as `data` a folder with images/val and labels/val")
    if not os.access(root, os.R_OK | os.X_OK if root.is_dir() else os.R_OK):
        raise DataError(f"dataset {root}: may not be read; change its permissions")


def check_out(out: Path) -> None:
    """Raises InputError if ``out`` can't be written, or has files that must not be replaced."""
    check_target(out)
    parent = next(folder for folder in (out.absolute().parent, *out.absolute().parents) if folder.exists())
    if not parent.is_dir():
        raise InputError(f"`out='{out}'`: {parent} is a file; choose another folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"`out='{out}'`: can't be written (no permission in {parent}); choose another folder")


def check_model(path: str | Path) -> None:
    """Raises InputError unless the path is a model file, a folder or the name of a shipped model."""
    file = shipped(path)
    if not file.exists():
        raise InputError(f"{file}: no such file; expected an ONNX file or an artefact folder of seg-edge export{hint(file)}")


def check_artefact(path: str | Path) -> None:
    """Raises ModelFileError unless the path is an artefact folder or the name of a shipped model."""
    folder = shipped(path)
    if not (folder / REPORT_JSON).is_file():
        problem = "no such folder" if not folder.exists() else f"no {REPORT_JSON} here"
        raise ModelFileError(f"{folder}: {problem}; expected an artefact folder, as seg-edge export writes it{hint(folder)}")
