"""The INT8 step: calibration, then fine-tuning and float layers where the options allow them and a limit needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import onnx

from ...calib import cache
from ...calib.graph import Frames, set_spec
from ...calib.trt_cache import TRT_CACHE_FILE, tensor_scales
from ...calib.trt_cache import write as write_trt_cache
from ..checks.executed import RECORDS, float_kernels
from ..checks.frames import network_inputs, preprocessing
from ..graph.options import QuantOptions
from ..graph.quantize import calibrate, prepare
from ..int8.fallback import Limits, Mixtures, Trial
from ..int8.sensitivity import PLOT_FILE, LayerCost, most_sensitive, sensitivity, write_plot
from ..report.rows import StepRow
from .context import Context, save
from .judge import Evaluation, evaluate

# (prepared graph, its calibration, how to quantize, provenance) → INT8 models of it.
Build = Callable[[onnx.ModelProto, cache.Calibration, QuantOptions, dict[str, Any]], Mixtures]


@dataclass(frozen=True)
class Quantized:
    """An INT8 model and the measurements that led to it.

    Attributes:
        model: The graph in the int8 file.
        evaluation: Evaluation of the file on the val split.
        sensitivity: The cost of each convolution alone, and its precision in the model.
        fallback: The mixtures that were tried, the chosen one last; empty if the first one kept the limits.
        hint: Remedies that failed, for the text of a broken gate; else empty.
    """

    model: onnx.ModelProto
    evaluation: Evaluation
    sensitivity: list[LayerCost]
    fallback: list[Trial]
    hint: str


def quantize_to_int8(model: onnx.ModelProto, before: Evaluation, context: Context) -> tuple[Quantized, StepRow]:
    """Writes the INT8 file of a float graph.

    Args:
        model: The simplified fp32 graph.
        before: The evaluation of ``model``, the reference for the limits.
    """
    options, progress, data = context.options, context.progress, context.data
    assert data.train is not None
    progress.say(f"int8: {options.quant.observer} ranges, {options.quant.weights} weights")
    frames = network_inputs(data.train, context.spec, options.calib_frames)
    prepared = prepare(model)
    calibration = _calibrated(prepared, frames, context)
    about = {"data": data.train.root.name, "split": "train", "frames": len(frames), **options.quant.algorithm()}
    costs = sensitivity(prepared, calibration, options.quant, data.parity, track=progress.track)
    if options.dla_cache:
        _write_dla_cache(prepared, frames, context)
    limits = Limits(options.max_drop, options.max_class_drop, options.fallback)
    build = _builder(context, frames, before, limits)
    mixtures, qat_note = build(prepared, calibration, options.quant, about), ""
    if options.qat is not None:
        from ..int8.qat import Trainer  # needs torch

        trainer = Trainer(prepared, calibration, options.quant, options.qat, data.train, context.spec)
        tuned = {**about, "qat": asdict(options.qat)}
        mixtures, qat_note = trainer.better(mixtures, limits.stated, build, tuned, progress)
    trial = mixtures.within_limits(most_sensitive(costs), progress)
    halves = mixtures.halves(trial.layers)
    precisions = {name: "fp16" if name in halves else "fp32" for name in trial.layers}
    result = Quantized(
        model=mixtures.models[trial.layers],
        evaluation=trial.evaluation,
        sensitivity=[replace(cost, precision=precisions.get(cost.layer, "int8")) for cost in costs],
        fallback=mixtures.trials if len(mixtures.trials) > 1 else [],
        hint=mixtures.hint,
    )
    row = context.saved(result.model, "int8", "int8")
    row.notes.append(f"calibrated on {len(frames)} frames of the train split")
    if qat_note:
        row.notes.append(f"qat: {qat_note}")
    row.notes += _float_layer_notes(precisions, len(costs), context)
    row.notes += _plot_note(result.sensitivity, context)
    row.notes += _profile_notes(context, warn=not trial.layers)
    return result, row


def _calibrated(model: onnx.ModelProto, frames: list[Frames], context: Context) -> cache.Calibration:
    """The calibration of a prepared graph; that of an earlier export is reused if its key is the same."""
    quant, progress = context.options.quant, context.progress
    key = cache.cache_key(model, frames, quant.algorithm(), preprocessing(context.spec))
    calibration, reason = cache.load(context.out / cache.CACHE_FILE, key)
    if context.options.recalibrate:
        calibration, reason = None, "a new one was asked for"
    if calibration is None:
        progress.say(f"calibrate: {reason}")
        calibration = calibrate(model, frames, quant, track=progress.track)
    else:
        progress.say("calibrate: reusing the calibration cache")
    cache.save(context.folder / cache.CACHE_FILE, key, calibration)
    return calibration


def _write_dla_cache(model: onnx.ModelProto, frames: Sequence[Frames], context: Context) -> None:
    context.progress.say(f"calibrate: {TRT_CACHE_FILE}")
    scales = tensor_scales(model, frames, context.options.quant.observer, track=context.progress.track)
    write_trt_cache(context.folder / TRT_CACHE_FILE, scales)


def _builder(context: Context, frames: Sequence[Frames], before: Evaluation, limits: Limits) -> Build:
    """A function that sets up the INT8 mixtures of a graph. Each trial writes the int8 file and evaluates it."""
    path, spec, precision = context.file("int8"), context.spec, context.options.float_precision

    def build(
        model: onnx.ModelProto, calibration: cache.Calibration, quant: QuantOptions, about: dict[str, Any]
    ) -> Mixtures:
        def measure(result: onnx.ModelProto, layers: Sequence[str]) -> Evaluation:
            mixed = {**about, "float_layers": list(layers)} if layers else about
            set_spec(result, spec.with_(precision="int8", provenance={**spec.provenance, "int8": mixed}))
            save(result, path)
            return evaluate(context, path, f"int8, {len(layers)} layers in {precision}" if layers else "int8")

        return Mixtures(model, calibration, quant, frames, measure, before, limits, precision)

    return build


def _float_layer_notes(precisions: Mapping[str, str], total: int, context: Context) -> list[str]:
    """Notes on the convolutions that went back to float."""
    notes = []
    for kind in ("fp16", "fp32"):
        if names := [name for name, precision in precisions.items() if precision == kind]:
            notes.append(f"{len(names)} of {total} convolutions went back to {kind}: {', '.join(names)}")
    if context.options.float_precision == "fp16" and "fp32" in precisions.values():
        context.progress.say("int8: layers whose values are too large for fp16 went back to fp32")
    return notes


def _plot_note(costs: Sequence[LayerCost], context: Context) -> list[str]:
    """Draws the sensitivity; returns a note if that is not possible."""
    try:
        write_plot(context.folder / PLOT_FILE, costs)
    except ImportError as error:
        return [f"no {PLOT_FILE}: {error}; pip install matplotlib"]
    return []


def _profile_notes(context: Context, *, warn: bool) -> list[str]:
    """Notes on the convolutions that engines compute in float, by their records; ``warn``: none should be in float."""
    notes = []
    for engine in (name for name in context.engines if name in RECORDS):
        names = float_kernels(context.file("int8"), engine)
        if not names:
            notes.append(f"every convolution runs on integers on {engine}, by its own profile")
            continue
        notes.append(f"{len(names)} convolutions run in float on {engine}: {', '.join(names)}")
        if warn:
            context.progress.say(f"warning: int8: {notes[-1]}")
    return notes
