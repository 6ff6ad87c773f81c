"""The chain: checkpoint → ONNX → simplified → INT8, with each step compared with the step before.

The artefact is built in a temporary folder, which is moved to its final place when all files are complete and all gates
have passed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from ..calib.graph import Array, get_spec, run, session
from ..core.artefact import SPEC_FILE, write_text
from ..core.folder import FAILED_DIR, replaced_folder
from ..core.progress import Progress, Silent
from ..core.spec import ModelSpec
from ..core.version import __version__
from .checks.frames import open_data
from .checks.golden import write_golden
from .checks.measure import measured_engines
from .deliver.litert import check_litert
from .deliver.ncnn import check_ncnn
from .deliver.triton import to_triton
from .graph.batch import run_batched
from .graph.fp16 import rounded
from .graph.labels_head import MIN_AGREEMENT, agreement_of, kernel_masks
from .graph.simplify import Simplifier, same_graph
from .guard import warnings as graph_warnings
from .options import ExportOptions
from .report.document import BrokenGateError, ExportReport
from .report.rows import StepRow
from .steps.batch import set_batch
from .steps.context import RAW, Context
from .steps.converted import convert_to_litert, convert_to_ncnn
from .steps.engine_file import build_engine_file
from .steps.fp16 import cast_to_fp16
from .steps.from_graph import open_graph, take_graph
from .steps.heads import add_labels_head
from .steps.int8 import quantize_to_int8
from .steps.ir import convert_to_ir
from .steps.judge import HALF_ROUNDING, ROUNDING, Judge, logits
from .steps.plain import write_plain
from .steps.simplify import simplify_graph
from .trt.backend import open_backend

if TYPE_CHECKING:
    import torch

    from .checks.frames import Frame

#: Writes the first model of the chain and its row.
First = Callable[[Context], tuple[onnx.ModelProto, StepRow]]
#: The logits that every step is compared with, for frames uint8 (1, H, W, 3).
Reference = Callable[["Sequence[Frame]"], Sequence[Array]]


def export_checkpoint(
    checkpoint: str | Path, out: str | Path, options: ExportOptions, progress: Progress | None = None
) -> ExportReport:
    """Exports a checkpoint, after pruning if the options ask for it; see :func:`seg_edge.export.export`."""
    from ..train.checkpoint import load_checkpoint

    if options.prune is None:
        loaded = load_checkpoint(checkpoint)
        return export_network(loaded.model, loaded.spec, out, options, progress)
    from .pruning.chain import prune_first

    loaded, rows = prune_first(checkpoint, Path(out), options.prune, options.input_hw, progress)
    return export_network(loaded.model, loaded.spec, out, options, progress, before=rows)


def export_network(
    network: torch.nn.Module,
    spec: ModelSpec,
    out: str | Path,
    options: ExportOptions,
    progress: Progress | None = None,
    simplifier: Simplifier | None = None,
    before: Sequence[StepRow] = (),
) -> ExportReport:
    """Exports a network in memory.

    Args:
        network: In eval mode: float32 (1, 3, H, W), RGB, normalized → logits (1, C, H/stride, W/stride).
        spec: The spec of the network.
        out: The artefact folder. An earlier artefact is replaced when the new one is complete.
        options: What to export.
        progress: Receives lines and counts; None is silent.
        simplifier: See :func:`seg_edge.export.graph.simplify.simplify`.
        before: Rows of earlier steps, such as pruning; the report starts with them.

    Returns:
        The report, also in ``out/report.json``.

    Raises:
        ModelFileError, DataError, InputError, UnknownNameError, EngineError: an input or engine can't be used.
        BrokenGateError: a limit was broken. The report is in ``out/failed``; an earlier export is not changed.
    """
    from .steps.from_torch import export_onnx, torch_logits

    _check_engines(options)
    spec = _described(network, spec.with_(input_hw=options.input_hw or spec.input_hw, precision="fp32"))
    first, reference = partial(export_onnx, network), partial(torch_logits, network, spec)
    return _export(first, reference, spec, Path(out), options, progress or Silent(), simplifier, before)


def export_graph(
    path: str | Path, out: str | Path, options: ExportOptions, progress: Progress | None = None
) -> ExportReport:
    """Exports an artefact again, from its fp32 graph: with INT8, fp16, another head or engine files.

    Raises:
        ModelFileError, InputError: no fp32 graph with logits, or options that need a torch module.
        BrokenGateError: as :func:`export_network`.
    """
    _check_engines(options)
    model, spec = open_graph(path)
    spec = spec.with_(provenance={**spec.provenance, "exported_with": _versions()})
    first, reference = partial(take_graph, model), partial(_graph_logits, model, options.threads)
    return _export(first, reference, spec, Path(out), options, progress or Silent(), None, ())


def _check_engines(options: ExportOptions) -> None:
    """Raises before the work if an engine or a converter is missing, or lacks a feature."""
    if options.deliver.ncnn is not None:
        check_ncnn()
    if options.deliver.litert:
        check_litert()
    measured_engines(options.measured_on)
    if options.plan is not None:
        open_backend(options.plan)


def _graph_logits(model: onnx.ModelProto, threads: int | None, frames: Sequence[Frame]) -> list[Array]:
    opened = session(model, threads=threads or 0)
    return [run(opened, frame)[0] for frame in frames]


def _export(
    first: First, reference: Reference, spec: ModelSpec, out: Path, options: ExportOptions, progress: Progress,
    simplifier: Simplifier | None, before: Sequence[StepRow],
) -> ExportReport:  # fmt: skip
    """The chain from its first model on."""
    engines = measured_engines(options.measured_on)
    with replaced_folder(out) as folder:
        data = open_data(options.data, spec, calibrate=options.int8)
        context = Context(folder, out, spec, options, engines, data, progress)
        judge = Judge(context, before, reference(data.parity))
        try:
            _run(first, context, judge, simplifier)
        except BrokenGateError:
            (out / FAILED_DIR).mkdir(parents=True, exist_ok=True)
            judge.report.write_folder(out / FAILED_DIR)
            raise
    if options.deliver.triton is not None:
        progress.say(f"triton: {to_triton(out, options.deliver.triton, judge.report.spec, options.batch)}")
    return judge.report


def _run(first: First, context: Context, judge: Judge, simplifier: Simplifier | None) -> None:
    """All steps of the chain, in order."""
    models = _make_models(first, context, judge, simplifier)
    _guard(models, context, judge)
    judge.engines(models)
    if context.options.batch != 1:
        models = {precision: _batched(model, precision, context, judge) for precision, model in models.items()}
    if context.options.deliver.head == "labels":
        models = {precision: _with_labels(model, precision, context, judge) for precision, model in models.items()}
        judge.report.spec = judge.report.spec.with_(output="labels")
    files = {precision: context.file(precision) for precision in models}
    judge.time(files)
    _deliver(models, context, judge)
    context.progress.say("golden frames")
    count = context.progress.count("golden frames")
    write_golden(context.folder, context.data.golden, files, context.engines, context.options.threads, count)
    write_text(context.folder / SPEC_FILE, judge.report.spec.to_json() + "\n")
    judge.report.write_folder(context.folder)


def _guard(models: dict[str, onnx.ModelProto], context: Context, judge: Judge) -> None:
    """Says where an engine will compute something else than a graph says, in the row of its file."""
    plan = context.options.plan
    names = dict.fromkeys([*context.engines, *([plan.flavour] if plan is not None else [])])
    for row in judge.report.steps:
        if row.file is not None and row.precision in models:
            found = graph_warnings(models[row.precision], names)
            row.notes += found
            for line in found:
                context.progress.say(f"warning: {row.file}: {line}")


def _make_models(first: First, context: Context, judge: Judge, simplifier: Simplifier | None) -> dict[str, onnx.ModelProto]:
    """The models for one frame, with logits: fp32, and fp16 and int8 if the options ask for them."""
    report = judge.report
    raw, row = first(context)
    expected = logits(raw, context)
    judge.compare(row, judge.reference, expected, ROUNDING)
    judge.evaluate(row, context.folder / RAW)
    (context.folder / RAW).unlink()

    fp32, row = simplify_graph(raw, context, simplifier)
    # The graph of an import is simplified already: what was measured of it stands.
    same = same_graph(raw, fp32)
    before, expected = expected, expected if same else logits(fp32, context)
    judge.compare(row, before, expected, ROUNDING)
    judge.evaluate(row, context.file("fp32"), since="onnx", evaluation=judge.evaluations.get("onnx") if same else None)
    models = {"fp32": fp32}

    if context.options.fp16:
        models["fp16"], row = cast_to_fp16(fp32, context)
        judge.compare(row, expected, logits(rounded(models["fp16"]), context), HALF_ROUNDING)
        judge.evaluate(row, context.file("fp16"), since="simplify")

    if context.options.int8:
        quantized, row = quantize_to_int8(fp32, judge.evaluations["simplify"], context)
        models["int8"] = quantized.model
        report.sensitivity, report.fallback = quantized.sensitivity, quantized.fallback
        judge.compare(row, expected, logits(quantized.model, context))
        judge.warn_of_few_equal_pixels(row)
        judge.evaluate(row, context.file("int8"), "simplify", quantized.evaluation, quantized.hint)
        made = {"int8": get_spec(quantized.model).provenance["int8"]}
        report.spec = report.spec.with_(provenance={**report.spec.provenance, **made})
    return models


def _batched(model: onnx.ModelProto, precision: str, context: Context, judge: Judge) -> onnx.ModelProto:
    result, row = set_batch(model, precision, context)
    outputs = run_batched(result, context.data.parity, context.options.batch)
    judge.compare(row, logits(model, context), outputs, ROUNDING)
    return result


def _with_labels(model: onnx.ModelProto, precision: str, context: Context, judge: Judge) -> onnx.ModelProto:
    result, row = add_labels_head(model, precision, context)
    frames, batch = context.data.parity, context.options.batch
    expected = kernel_masks(run_batched(model, frames, batch), context.spec.input_hw)
    judge.masks(row, agreement_of(expected, run_batched(result, frames, batch)), MIN_AGREEMENT[precision])
    return result


def _deliver(models: dict[str, onnx.ModelProto], context: Context, judge: Judge) -> None:
    """Writes the files for other tools and devices: OpenVINO IR, ncnn, LiteRT and an engine file."""
    options, report = context.options.deliver, judge.report
    for precision in models if options.ir else ():
        for row in convert_to_ir(precision, report.spec, context):
            judge.record(row)
    if options.plain is not None:
        report.spec, row, outputs = write_plain(models["fp32"], options.plain, report.spec, context)
        if report.spec.output == "labels":
            expected = run_batched(models["fp32"], context.data.parity, 1)
            judge.masks(row, agreement_of(expected, outputs), MIN_AGREEMENT["fp32"])
        else:
            judge.compare(row, logits(models["fp32"], context), outputs, ROUNDING)
    if options.ncnn is not None:
        report.spec, rows, outputs = convert_to_ncnn(models["fp32"], options.ncnn, report.spec, context)
        judge.record(rows[1])
        limit = HALF_ROUNDING if options.ncnn == "fp16" else ROUNDING
        judge.compare(rows[0], logits(models["fp32"], context), outputs, limit)
    if options.litert:
        report.spec, row, outputs = convert_to_litert(models["fp32"], report.spec, context)
        judge.compare(row, logits(models["fp32"], context), outputs, ROUNDING)
    if context.options.plan is not None:
        built, row = build_engine_file(models, report.spec, context.options.plan, context)
        report.spec = built.spec
        judge.engine_file(row, built, models[built.precision])


def _described(network: torch.nn.Module, spec: ModelSpec) -> ModelSpec:
    """The spec with the network's size and the versions of the exporting packages."""
    import torch

    from ..train.models.registry import macs, parameters

    versions = {**_versions(), "torch": str(torch.__version__)}
    size = {"params": parameters(network), "macs": macs(network, spec.input_hw)}
    return spec.with_(provenance={**spec.provenance, **size, "exported_with": versions})


def _versions() -> dict[str, str]:
    """The versions of the exporting packages."""
    return {
        "seg-edge": __version__, "onnx": onnx.__version__,
        "onnxruntime": str(import_module("onnxruntime").__version__), "machine": platform.machine(),
    }  # fmt: skip
