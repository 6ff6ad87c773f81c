"""What can be imported: ONNX files, files of torch.export, torch modules."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import onnx

from ...core.errors import InputError, ModelFileError
from ...core.progress import Progress
from ..foreign.interface import one_line
from ..foreign.options import ImportOptions
from ..foreign.source import check_network, read_network
from .rehearsal import rehearse
from .report import ImportReport
from .stage import import_model

#: Suffix of torch.export's files.
PROGRAM = ".pt2"
_OPSET = 17


def import_any(network: Any, out: Path, options: ImportOptions, progress: Progress | None) -> ImportReport:
    """See :func:`seg_edge.export.import_network`."""
    if isinstance(network, (str, Path)) and Path(network).suffix != PROGRAM:
        rehearse(Path(network), options)
        return import_model(read_network(Path(network)), Path(network).name, out, options, progress)
    try:
        model, name = _from_torch(network, options)
    except ImportError as error:
        raise InputError(f"import of a torch module needs torch ({error}); pip install 'seg-edge[train,export]'") from error
    check_network(model, name)
    return import_model(model, name, out, options, progress)


def _from_torch(network: Any, options: ImportOptions) -> tuple[onnx.ModelProto, str]:
    """The ONNX graph and the name of a torch module, an ExportedProgram, or a file of one."""
    import torch

    name = type(network).__name__
    if isinstance(network, (str, Path)):
        name = Path(network).name
        try:
            network = torch.export.load(str(network))
        except Exception as error:  # zip, pickle and schema errors share no base class
            raise ModelFileError(f"{network}: not a file of torch.export ({one_line(error)}); save it again") from error
    if isinstance(network, torch.export.ExportedProgram):
        module = network.module()
        setattr(module, "train", lambda _mode=True: module)  # noqa: B010  # the exporter sets the mode, which programs refuse
        return _converted(module, _size_of(network, options, name), name)
    if not isinstance(network, torch.nn.Module):
        raise InputError(
            f"import_network: expected a path, a torch module or an ExportedProgram, got {type(network).__name__}"
        )
    if options.input_hw is None:
        raise InputError(f"`input_hw`: a torch module has no input size; pass one such as 512x512 for {name}")
    if network.training:
        raise InputError(f"import_network: {name} is in training mode; call eval() on it first")
    return _converted(network, options.input_hw, name)


def _size_of(program: Any, options: ImportOptions, name: str) -> tuple[int, int]:
    """The size that a program was traced at."""
    values = [node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    shape = [side if isinstance(side, int) else 0 for side in values[0].shape] if len(values) == 1 else []
    if len(shape) != 4:
        raise ModelFileError(f"{name}: expected one input N×3×H×W, got {len(values)} inputs")
    height, width = shape[2:]
    given = options.input_hw or (height, width)
    if not all(given):
        raise InputError(f"`input_hw`: {name} leaves the size free; pass one such as 512x512")
    return given


class _Tensors:
    """Makes modules of a dictionary or a dataclass of outputs (torchvision, transformers) give a tuple of tensors."""

    @staticmethod
    def wrapped(network: Any) -> Any:
        import torch

        class Plain(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = network

            def forward(self, image: Any) -> Any:
                result = self.net(image)
                if isinstance(result, torch.Tensor):
                    return result
                values = result.values() if hasattr(result, "values") else result
                return tuple(value for value in values if isinstance(value, torch.Tensor))

        return Plain()


def _converted(network: Any, size_hw: tuple[int, int], name: str) -> tuple[onnx.ModelProto, str]:
    import torch

    from ..graph.to_onnx import quiet

    example = torch.zeros(1, 3, *size_hw)
    wrapped = _Tensors.wrapped(network)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        try:
            with quiet(), torch.no_grad():
                result = wrapped(example)
                names = _output_names(network, example, result)
                torch.onnx.export(
                    wrapped, (example,), str(file), input_names=["image"], output_names=names, opset_version=_OPSET,
                    dynamo=False,
                )  # fmt: skip
        except Exception as error:  # the exporter passes on any exception of its own code and of the network's code
            raise ModelFileError(
                f"{name}: torch can't export the module at {size_hw[0]}x{size_hw[1]} ({type(error).__name__}: "
                f"{one_line(error)}); export it to ONNX yourself and import the file"
            ) from error
        return read_network(file), name


def _output_names(network: Any, example: Any, result: Any) -> list[str]:
    """The keys of a dictionary of outputs, else numbered names."""
    if not isinstance(result, tuple):
        return ["output"]
    import torch

    with torch.no_grad():
        raw = network(example)
    if hasattr(raw, "items"):
        names = [str(key) for key, value in raw.items() if isinstance(value, torch.Tensor)]
        if len(names) == len(result):
            return names
    return [f"output{i}" for i in range(len(result))]
