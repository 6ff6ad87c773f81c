"""The stages of importing, pruning, exporting, building and verifying: the functions of the Python surface and the command.

Each stage first checks its inputs as far as possible without heavy libraries, and imports those afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.options import check_name
from ..core.progress import Progress
from ..core.shipped import DEFAULT
from ..runtime.engines.table import AUTO, ENGINES, SERVERS
from .foreign.options import ImportOptions
from .options import ExportOptions
from .preflight import check_artefact, check_checkpoint, check_data, check_exportable, check_foreign, check_model, check_out
from .pruning.options import PruneOptions
from .trt.options import BuildOptions

if TYPE_CHECKING:
    import torch

    from .checks.replay import VerifyReport
    from .importing.report import ImportReport
    from .pruning.report import PruneReport
    from .report.document import ExportReport
    from .trt.artefact import BuildReport
    from .trt.dla import DlaReport


def export(
    checkpoint: str | Path,
    out: str | Path,
    options: ExportOptions = ExportOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> ExportReport:
    """Exports a checkpoint or an imported artefact: ONNX, simplification, INT8, with gates and a report.

    Every step is compared with the step before and with torch, evaluated on the val split, and timed. A step that
    breaks a limit of the options ends the export. The artefact holds ``model.fp32.onnx``, ``model.json``, golden frames
    for :func:`verify`, ``report.json`` and ``report.md``; depending on the options also ``model.fp16.onnx``,
    ``model.int8.onnx``, engine files and OpenVINO IR.

    Args:
        checkpoint: A ``.pt`` file of :func:`seg_edge.train.fit`, a shipped model's name, or an artefact of
            :func:`import_network` (its folder or ``model.fp32.onnx``).
        out: The artefact folder. An earlier artefact is replaced when the new one is complete.
        options: What to export, what to deliver, and which limits must hold; see
            :class:`~seg_edge.export.ExportOptions` for its fields. The default is fp32, without limits.
        progress: Receives lines and counts; None is silent.

    Returns:
        The report: a row for each step and file, gates, engines, sensitivity. ``to_dict()`` is ``out/report.json``.

    Raises:
        InputError: ``out`` can't be written, or packages are missing (``pip install 'seg-edge[export]'``).
        ModelFileError: the checkpoint is missing, damaged or not a checkpoint, or its network can't be exported.
        DataError: the dataset is missing, unreadable, or has other classes.
        EngineError: an engine is not available here, or fails.
        GateError: a limit such as ``max_drop`` was broken. Its ``report`` holds the measurements until then and is also
            in ``out/failed``; an earlier export is not changed.

    Examples:
        >>> from seg_edge.export import ExportOptions, export
        >>> options = ExportOptions(int8=True, data="camvid", max_drop=0.002)  # doctest: +SKIP
        >>> report = export("runs/street/best.pt", "street", options)  # doctest: +SKIP
        >>> [(row.file, row.miou, row.latency_ms) for row in report.steps]  # doctest: +SKIP
        [('model.fp32.onnx', 0.7121, {'openvino': 4.2}), ('model.int8.onnx', 0.7115, {'openvino': 2.6})]
    """
    graph = check_exportable(checkpoint, options)
    for data in (options.data, options.prune.data if options.prune else None):
        check_data(data)
    check_out(Path(out))
    with _packages("export", "export"):
        from .chain import export_checkpoint, export_graph
    if graph is not None:
        return export_graph(graph, out, options, progress)
    return export_checkpoint(checkpoint, out, options, progress)


def import_network(
    network: str | Path | torch.nn.Module | torch.export.ExportedProgram,
    out: str | Path,
    options: ImportOptions = ImportOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> ImportReport:
    """Makes an artefact of a network that another tool trained, and proves that both compute the same masks.

    The artefact is like those of :func:`export`: uint8 BGR frames in, logits or class numbers out, the spec inside. It
    can be run, built, verified, served, benchmarked, and exported again as INT8 or fp16.

    Args:
        network: An ONNX file (opset 9 or newer), a ``.pt2`` file of ``torch.export.save``, a torch module in eval mode,
            or an ExportedProgram. One input of three channels; scores or class numbers out.
        out: The artefact folder. An earlier artefact is replaced when the new one is complete.
        options: What the file doesn't say; see :class:`~seg_edge.export.ImportOptions` for its fields. A torch module
            needs ``input_hw``.
        progress: Receives lines; None is silent.

    Returns:
        The report: agreement with the original on each engine, the guesses with their reasons, and what was taken off.

    Raises:
        InputError: the options don't fit the network, ``out`` can't be written, or packages are missing.
        ModelFileError: no segmentation network, or a file that is damaged; the text says which.
        DataError: frames, masks or the dataset can't be read.
        GateError: the masks differ. The text names the channel order, mean or resize that explains it; the ``report``
            is also in ``out/failed``.

    Examples:
        >>> from seg_edge.export import ImportOptions, import_network
        >>> options = ImportOptions(classes="cityscapes", input_hw="512x1024")
        >>> report = import_network("theirs.onnx", "street", options)  # doctest: +SKIP
        >>> [(row.engine, row.agreement) for row in report.compared]  # doctest: +SKIP
        [('openvino', 1.0), ('onnxruntime', 1.0)]
    """
    if isinstance(network, (str, Path)):
        check_foreign(network)
    check_data(options.data)
    check_out(Path(out))
    with _packages("import", "export"):
        from .importing.entry import import_any
    return import_any(network, Path(out), options, progress)


def prune(
    checkpoint: str | Path, out: str | Path, options: PruneOptions, *, progress: Progress | None = None
) -> PruneReport:
    """Removes whole channels of a trained network to reach a share, MACs, parameters or a latency; then fine-tunes.

    Args:
        checkpoint: A ``.pt`` file of :func:`seg_edge.train.fit` or of an earlier pruning, or a shipped model's name.
        out: Folder for ``best.pt``, ``model.json``, ``report.json`` and ``report.md``. An earlier result is replaced
            when the new one is complete.
        options: The goal, the choice of channels, fine-tuning and measurements; see
            :class:`~seg_edge.export.PruneOptions` for its fields.
        progress: Receives lines and counts; None is silent.

    Returns:
        The report: a row for the unpruned network and a row for each step. ``to_dict()`` is ``out/report.json``.

    Raises:
        InputError: the goal can't be reached, ``out`` can't be written, or packages are missing.
        ModelFileError, DataError, EngineError: the checkpoint, the dataset or an engine can't be used.
        GateError: a limit was broken. Its ``report`` is also in ``out/failed``, with the checkpoint; an earlier result
            is not changed.

    Examples:
        >>> from seg_edge.export import PruneOptions, prune
        >>> options = PruneOptions(target_latency="2.5ms@openvino", data="camvid", finetune=20)
        >>> report = prune("runs/street/best.pt", "smaller", options)  # doctest: +SKIP
        >>> report.steps[-1].channels  # doctest: +SKIP
        352
    """
    check_checkpoint(checkpoint)
    check_data(options.data)
    if options.distill is not None:
        check_checkpoint(options.distill.teacher)
    check_out(Path(out))
    with _packages("prune", "train,export"):
        from .pruning.steps import prune_checkpoint
    return prune_checkpoint(checkpoint, out, options, progress)


def build(
    model: str | Path,
    out: str | Path | None = None,
    options: BuildOptions = BuildOptions(),  # noqa: B008  # frozen
    *,
    precision: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> BuildReport | DlaReport:
    """Builds an engine file of TensorRT or TensorRT-RTX, and records it in the ``model.json`` beside it.

    Args:
        model: An artefact folder of :func:`export`, one of its ONNX files, or a shipped model's name.
        out: The engine file, ``.engine`` or ``.plan``. None is a name with precision and device, beside the graph; for
            a shipped model, in a folder of its name.
        options: How to build; see :class:`~seg_edge.export.BuildOptions` for its fields.
        precision: Which model of a folder: ``"int8"``, ``"fp16"`` or ``"fp32"``; None is the smallest model of the
            folder. With DLA, ``"int8"`` uses the artefact's calibration cache.
        force: Build even if the same engine exists.
        dry_run: With ``dla_core``: only list the layers that would run on DLA. Needs no TensorRT.
        progress: Receives lines and counts; None is silent.

    Returns:
        The new or reused engine file; with ``dry_run``, the layers that would run on DLA.

    Raises:
        InputError: no such file, or a name for ``out`` that no engine opens.
        ModelFileError: not an exported model, or a graph that TensorRT can't build.
        EngineError: TensorRT is missing, lacks a feature, or failed; the text holds TensorRT's first error.

    Examples:
        >>> from seg_edge.export import BuildOptions, build
        >>> report = build("street", options=BuildOptions(compute_capabilities=("89",)))  # doctest: +SKIP
        >>> report.path.name  # doctest: +SKIP
        'model.int8.sm89.rtx1.7.1.engine'
    """
    check_model(model)
    if dry_run and options.dla_core is None:
        raise InputError("`dry_run=True`: lists what DLA would take; pass `dla_core=0` too")
    if dry_run:
        with _packages("build", "build"):
            from .trt.artefact import dla_report
        return dla_report(model, precision)
    with _packages("build", "build"):
        from .trt.artefact import build_engine
    return build_engine(model, options, out, precision, force=force, progress=progress)


def verify(
    artefact: str | Path | None = None,
    *,
    engine: str = AUTO,
    threads: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Replays an artefact's golden frames, to check that this machine computes the same masks as the export machine.

    Args:
        artefact: An artefact folder of :func:`export`, or a shipped model's name; None is the shipped default.
        engine: Engine to replay on. ``"tensorrt"`` and ``"rtx"`` replay their engine files. ``"auto"`` is the fastest
            available engine for the ONNX files, and all engine files that fit this machine's GPU.
        threads: CPU threads; None is every core.
        progress: Receives lines and counts; None is silent.

    Returns:
        One row for each model and frame. A mask that differs is a row that did not pass. ``report.passed`` is True if
        all passed; otherwise ``report.check()`` raises a GateError.

    Raises:
        ModelFileError: not an artefact, a file is missing or damaged, or a model has no golden masks; the text names it.
        UnknownNameError, EngineError: the engine can't be used here.

    Examples:
        >>> from seg_edge.export import verify
        >>> verify("unet-s-camvid", engine="onnxruntime").passed
        True
    """
    artefact = DEFAULT if artefact is None else artefact
    if not engine.startswith(SERVERS):
        check_name("engine", engine, (AUTO, *ENGINES))
    check_artefact(artefact)
    from .checks.replay import VerifyReport, replay

    return VerifyReport(str(artefact), replay(artefact, engine, threads, progress))


@contextmanager
def _packages(stage: str, extra: str) -> Iterator[None]:
    """Turns a failed import into an InputError that names the packages to install."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{stage} needs packages that are not installed ({error}); pip install 'seg-edge[{extra}]'"
        ) from error
