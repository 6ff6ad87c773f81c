"""The chain: checkpoint → ONNX → simplified → INT8, each step measured against the one before it.

The artefact is built in a folder beside its final place and takes it only when it is whole and every gate has passed.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ..calib import cache
from ..calib.graph import Array, Frames, get_spec, run, session, set_spec
from ..calib.trt_cache import TRT_CACHE_FILE, tensor_scales
from ..calib.trt_cache import write as write_trt_cache
from ..core.artefact import SPEC_FILE, atomic_path, onnx_name, write_text
from ..core.folder import FAILED_DIR, check_target, replaced_folder
from ..core.progress import Progress, Silent
from ..core.spec import ModelSpec
from .checks.compare import compare
from .checks.executed import RECORDS, float_kernels
from .checks.frames import ChainData, network_inputs, open_data, preprocessing
from .checks.golden import write_golden
from .checks.ledger import MIN_AGREEMENT, engine_rows
from .checks.measure import accuracy, latencies_ms, measured_engines, worst_class
from .deliver.delivery import Delivery, to_triton
from .graph.batch import FREE, run_batched, with_batch
from .graph.fp16 import rounded, to_fp16
from .graph.quantize import QuantOptions, calibrate, prepare
from .graph.simplify import Simplifier, simplify
from .graph.to_onnx import to_onnx
from .int8.fallback import Limits, Mixtures
from .int8.qat import Trainer
from .int8.sensitivity import PLOT_FILE, most_sensitive, sensitivity, write_plot
from .options import ExportOptions
from .report.rows import BrokenGateError, Gate, Report, Step

if TYPE_CHECKING:
    import torch


# float32 sums in another order differ in the last bits; through twenty layers that stays far below this share of the logits.
_PARITY = 1e-3
# Trained networks keep more than 98 % of their masks in INT8; whoever stated no limit is told about less than this.
_SUSPICIOUS = 0.9
# float16 rounds every value to 11 bits; twenty layers of it stay within a few hundredths of the largest logit.
_HALF_PARITY = 0.05


def export(checkpoint: str | Path, out: str | Path, options: ExportOptions, progress: Progress | None = None) -> Report:
    """Exports a checkpoint into an artefact folder.

    Args:
        checkpoint: A ``.pt`` file of ``seg-edge train``.
        out: The artefact; an earlier one there is replaced when the new one is whole.

    Returns:
        The report, also in ``out/report.json``.

    Raises:
        ModelFileError, DataError, InputError, UnknownNameError, EngineError: what can't be used.
        BrokenGateError: a limit was broken (a GateError); the report is in ``out/failed``, an earlier export
            stays as it was.
    """
    from ..train.checkpoint import load_checkpoint

    options.check()
    check_target(Path(out))
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
    before: Sequence[Step] = (),
) -> Report:
    """:func:`export` of a network in memory.

    Args:
        network: In eval mode: float32 (1, 3, H, W), RGB, normalized → logits (1, C, H/stride, W/stride).
        simplifier: See :func:`seg_edge.export.graph.simplify.simplify`.
        before: Rows of what was done to the network before; they open the report.
    """
    options.check()
    engines = measured_engines(options.engine)
    spec = spec.with_(input_hw=options.input_hw or spec.input_hw, precision="fp32")
    from ..train.models.registry import macs, parameters

    size = {"params": parameters(network), "macs": macs(network, spec.input_hw)}
    spec = spec.with_(provenance={**spec.provenance, **size, "exported_with": _versions()})
    out = Path(out)
    with replaced_folder(out) as folder:
        chain = _Chain(folder, out, spec, options, engines, progress or Silent())
        chain.report.steps += before
        try:
            chain.run(network, simplifier)
        except BrokenGateError:
            (out / FAILED_DIR).mkdir(parents=True, exist_ok=True)
            chain.report.write(out / FAILED_DIR)
            raise
    if options.deliver.triton is not None:
        placed = to_triton(out, options.deliver.triton, chain.report.spec, options.batch)
        chain.progress.say(f"triton: {placed}")
    return chain.report


class _Chain:
    def __init__(
        self, folder: Path, out: Path, spec: ModelSpec, options: ExportOptions, engines: list[str], progress: Progress
    ) -> None:
        self.folder, self.out, self.options, self.engines, self.progress = folder, out, options, engines, progress
        self.spec = spec
        self.report = Report(spec)
        self.data: ChainData = open_data(options.data, spec, calibrate=options.int8)
        self._evaluation: Mapping[str, Any] | None = None
        self._evaluations: dict[str, Mapping[str, Any]] = {}
        self._torch: list[Array] = []

    def run(self, network: torch.nn.Module, simplifier: Simplifier | None) -> None:
        raw = self.export_step(network)
        fp32 = self.simplify_step(raw, simplifier)
        models = {"fp32": fp32}
        if self.options.fp16:
            models["fp16"] = self.fp16_step(fp32)
        if self.options.int8:
            models["int8"] = self.int8_step(fp32)
            self.report.spec = self.report.spec.with_(
                provenance={**self.spec.provenance, "int8": get_spec(models["int8"]).provenance["int8"]}
            )
        self.engine_ledger(models)
        if self.options.batch != 1:
            models = self.batch_step(models)
        delivery = Delivery(
            self.folder, self.report, self.options.deliver, self.data.parity, self.options.batch, self.progress, self.out
        )
        models = delivery.heads(models)
        self.speed(models)
        delivery.files(models)
        self.progress.say("golden frames")
        files = {precision: self.folder / onnx_name(precision) for precision in models}
        count = self.progress.count("golden frames")
        write_golden(self.folder, self.data.golden, files, self.engines, self.options.threads, count)
        write_text(self.folder / SPEC_FILE, self.report.spec.to_json() + "\n")
        self.report.write(self.folder)

    def export_step(self, network: torch.nn.Module) -> onnx.ModelProto:
        self.progress.say(f"onnx: {self.spec.name} at {self.spec.input_hw[0]}x{self.spec.input_hw[1]}")
        model = to_onnx(network, self.spec)
        path = self.folder / "raw.onnx"
        _save(model, path)
        step = Step.of("onnx", path, "fp32", kept=False)
        step.notes.append("compared with torch; the file is an intermediate")
        self._torch = _torch_logits(network, self.spec, self.data.parity)
        self.compared(step, self._torch, self.logits(model), limit=_PARITY)
        if self.data.val is None:
            step.notes.append("mIoU is not measured without --data; compared on generated frames")
        self.measured(step, path)
        path.unlink()
        return model

    def simplify_step(self, model: onnx.ModelProto, simplifier: Simplifier | None) -> onnx.ModelProto:
        self.progress.say("simplify")
        result, note = simplify(model, self.data.parity, simplifier)
        path = self.folder / onnx_name("fp32")
        _save(result, path)
        step = Step.of("simplify", path, "fp32")
        if note:
            step.notes.append(note)
            self.progress.say(f"simplify: {note}")
        self.compared(step, self.logits(model), self.logits(result), limit=_PARITY)
        self.measured(step, path)
        return result

    def fp16_step(self, model: onnx.ModelProto) -> onnx.ModelProto:
        self.progress.say("fp16: cast graph")
        result = to_fp16(model)
        path = self.folder / onnx_name("fp16")
        _save(result, path)
        step = Step.of("fp16", path, "fp16")
        step.notes.append("compared with every value rounded to float16; CPU engines compute it in float32, GPUs as it is")
        # A value beyond 65504 becomes infinite and ruins whatever it meets.
        self.compared(step, self.logits(model), self.logits(rounded(result)), limit=_HALF_PARITY)
        before = self._evaluation
        self.measured(step, path)
        self._evaluation = before  # INT8 is made from fp32
        return result

    def int8_step(self, model: onnx.ModelProto) -> onnx.ModelProto:
        assert self.data.train is not None
        self.progress.say(f"int8: {self.options.quant.observer} ranges, {self.options.quant.weights} weights")
        frames = network_inputs(self.data.train, self.spec, self.options.calib_frames)
        prepared = prepare(model)
        calibration = self.calibrated(prepared, frames)
        self.calibration = {
            "data": self.data.train.root.name, "split": "train", "frames": len(frames), **self.options.quant.algorithm()
        }  # fmt: skip
        costs = sensitivity(prepared, calibration, self.options.quant, self.data.parity, track=self.progress.track)
        self.report.sensitivity = costs
        if self.options.dla_cache:
            self.progress.say(f"calibrate: {TRT_CACHE_FILE}")
            scales = tensor_scales(prepared, frames, self.options.quant.observer, track=self.progress.track)
            write_trt_cache(self.folder / TRT_CACHE_FILE, scales)
        path = self.folder / onnx_name("int8")
        limits = Limits(self.options.max_drop, self.options.max_class_drop, self.options.fallback)

        def mixtures_of(
            model: onnx.ModelProto, found: cache.Calibration, quant: QuantOptions, about: dict[str, Any]
        ) -> Mixtures:
            def measure(result: onnx.ModelProto, layers: Sequence[str]) -> Mapping[str, Any]:
                mixed = {**about, "float_layers": list(layers)} if layers else about
                set_spec(result, self.spec.with_(precision="int8", provenance={**self.spec.provenance, "int8": mixed}))
                _save(result, path)
                what = f"int8, {len(layers)} layers in {self.options.float_precision}" if layers else "int8"
                return self.evaluate(path, what)

            assert self._evaluation is not None
            return Mixtures(model, found, quant, frames, measure, self._evaluation, limits, self.options.float_precision)

        mixtures, qat_note = mixtures_of(prepared, calibration, self.options.quant, self.calibration), ""
        if (qat := self.options.qat) is not None:
            assert self.data.train is not None
            trainer = Trainer(prepared, calibration, self.options.quant, qat, self.data.train, self.spec)
            about = {**self.calibration, "qat": asdict(qat)}
            mixtures, qat_note = trainer.better(mixtures, limits.stated, mixtures_of, about, self.progress)
        trial = mixtures.within_limits(most_sensitive(costs), self.progress)
        self.report.fallback = mixtures.trials if len(mixtures.trials) > 1 else []
        halves = mixtures.halves(trial.layers)
        precisions = {name: "fp16" if name in halves else "fp32" for name in trial.layers}
        self.report.sensitivity = [replace(cost, precision=precisions.get(cost.layer, "int8")) for cost in costs]
        result = mixtures.models[trial.layers]
        _save(result, path)
        step = Step.of("int8", path, "int8")
        step.notes.append(f"calibrated on {len(frames)} frames of the train split")
        if qat_note:
            step.notes.append(f"qat: {qat_note}")
        if trial.layers:
            for kind in ("fp16", "fp32"):
                if back := [name for name in trial.layers if precisions[name] == kind]:
                    step.notes.append(f"{len(back)} of {len(costs)} convolutions went back to {kind}: {', '.join(back)}")
            if halves != list(trial.layers) and self.options.float_precision == "fp16":
                self.progress.say("int8: layers whose values are too large for fp16 went back to fp32")
        try:
            write_plot(self.folder / PLOT_FILE, self.report.sensitivity)
        except ImportError as error:
            step.notes.append(f"no {PLOT_FILE}: {error}; pip install matplotlib")
        for engine in [name for name in self.engines if name in RECORDS]:
            left = float_kernels(path, engine)
            where = f"{len(left)} convolutions run in float on {engine}: {', '.join(left)}"
            step.notes.append(where if left else f"every convolution runs on integers on {engine}, by its own profile")
            if left and not trial.layers:
                self.progress.say(f"warning: int8: {where}")
        self.compared(step, self.logits(model), self.logits(result))
        if step.agreement is not None and step.agreement < _SUSPICIOUS:
            warning = (
                f"only {100 * step.agreement:.1f} % of the pixels have fp32's class: are the calibration frames typical?"
            )
            step.notes.append(warning)
            self.progress.say(f"warning: int8: {warning}")
        self.measured(step, path, trial.evaluation, hint=mixtures.hint)
        return result

    def calibrated(self, model: onnx.ModelProto, frames: list[Frames]) -> cache.Calibration:
        key = cache.cache_key(model, frames, self.options.quant.algorithm(), preprocessing(self.spec))
        found, reason = cache.load(self.out / cache.CACHE_FILE, key)
        if self.options.recalibrate:
            found, reason = None, "--force-recalibrate"
        if found is None:
            self.progress.say(f"calibrate: {reason}")
            found = calibrate(model, frames, self.options.quant, track=self.progress.track)
        else:
            self.progress.say("calibrate: reusing the calibration cache")
        cache.save(self.folder / cache.CACHE_FILE, key, found)
        return found

    def batch_step(self, models: dict[str, onnx.ModelProto]) -> dict[str, onnx.ModelProto]:
        batch = self.options.batch
        name = "free batch" if batch is None else f"batch{batch}"
        self.progress.say(f"batch: {batch or FREE}")
        results = {}
        for precision, model in models.items():
            result = results[precision] = with_batch(model, batch)
            path = self.folder / onnx_name(precision)
            _save(result, path)
            for row in self.report.steps:
                if row.file == path.name:
                    row.file = None
                    row.notes.append("measured at batch 1; the file is an intermediate")
            step = Step.of(name, path, precision)
            step.notes.append("mIoU is that of batch 1: the outputs are compared, frame by frame")
            self.compared(step, self.logits(model), run_batched(result, self.data.parity, batch), limit=_PARITY)
        return results

    def logits(self, model: onnx.ModelProto) -> list[Array]:
        opened = session(model, threads=self.options.threads or 0)
        return [run(opened, frame)[0] for frame in self.data.parity]

    def compared(self, step: Step, before: list[Array], after: list[Array], limit: float | None = None) -> None:
        self.report.steps.append(step)
        found = compare(before, after)
        step.agreement, step.max_abs_error = found.agreement, found.max_abs_error
        whole = compare(self._torch, after)
        step.against_torch = {"agreement": whole.agreement, "max_abs_error": whole.max_abs_error}
        if limit is not None:
            allowed = limit * max(1.0, found.peak)
            self.report.add_gate(
                Gate(f"{step.step}: parity", allowed, found.max_abs_error),
                f"step {step.step}: logits differ by {found.max_abs_error:.3g} from the step before, allowed are "
                f"{allowed:.3g}; the exporter computes another network: report this",
            )

    def evaluate(self, path: Path, what: str, engine: str | None = None) -> dict[str, Any]:
        assert self.data.val is not None
        count = self.progress.count(f"{what}: mIoU on {engine or self.engines[0]}")
        return accuracy(path, self.data.val, engine or self.engines[0], self.options.threads, count)

    def engine_ledger(self, models: Mapping[str, onnx.ModelProto]) -> None:
        def evaluate(file: Path, precision: str, engine: str) -> Mapping[str, Any] | None:
            known = self._evaluations.get(precision) if engine == self.engines[0] else None
            if self.data.val is None or (known is not None and file.name == onnx_name(precision)):
                return known
            return self.evaluate(file, precision, engine)

        files = {precision: (self.folder / onnx_name(precision), model) for precision, model in models.items()}
        for row, before in engine_rows(files, self.engines, self.data.parity, self.options.threads, evaluate, self.progress):
            self.report.engines.append(row)
            if row.simulated:
                continue
            least = MIN_AGREEMENT[row.precision]
            self.report.add_gate(
                Gate(f"{row.name}: parity", least, row.agreement, at_least=True),
                f"step {row.name}: {100 * row.agreement:.2f} % of the pixels have the class that the graph gives, at least "
                f"{100 * least:g} must; the engine computes another network: take another --engine and report this",
            )
            if before is not None and row.engine != self.engines[0]:
                self.accuracy_gates(row.name, row.miou, row.worst_class, before["miou"], "")

    def measured(self, step: Step, path: Path, evaluation: Mapping[str, Any] | None = None, hint: str = "") -> None:
        if self.data.val is None:
            return
        found = evaluation or self.evaluate(path, step.step)
        before, self._evaluation = self._evaluation, found
        self._evaluations[step.precision] = found
        step.miou = found["miou"]
        step.notes.append(f"mIoU over {found['images']} images of the val split on {found['engine']}")
        if before is not None:
            step.worst_class = worst_class(before, found)
            self.accuracy_gates(step.step, step.miou, step.worst_class, before["miou"], hint)

    def accuracy_gates(
        self, step: str, miou: float | None, worst: dict[str, Any] | None, before: float | None, hint: str
    ) -> None:
        limits, where = self.options, f"{hint}the report is in {self.out / FAILED_DIR}"
        if limits.max_drop is not None and before is not None and miou is not None:
            drop = before - miou
            self.report.add_gate(
                Gate(f"{step}: max_drop", limits.max_drop, drop),
                f"step {step}: mIoU drops by {100 * drop:.2f} points ({100 * before:.2f} to {100 * miou:.2f}), "
                f"--max-drop allows {100 * limits.max_drop:g}; {where}",
            )
        if limits.max_class_drop is not None and worst is not None:
            drop = -worst["delta"]
            self.report.add_gate(
                Gate(f"{step}: max_class_drop", limits.max_class_drop, drop),
                f"step {step}: IoU of {worst['name']} drops by {100 * drop:.2f} points, "
                f"--max-class-drop allows {100 * limits.max_class_drop:g}; {where}",
            )

    def speed(self, models: dict[str, onnx.ModelProto]) -> None:
        self.progress.say(f"latency on {', '.join(self.engines)}")
        paths = {precision: self.folder / onnx_name(precision) for precision in models}
        frame = self.data.parity[0].repeat(self.options.batch or 1, 0)
        times = latencies_ms(paths, frame, self.engines, self.options.threads, self.progress.count("latency"))
        for step in self.report.steps:
            if step.file is not None:
                step.latency_ms = times[step.precision]
            elif not step.latency_ms:
                step.notes.append("latency is measured on files that are kept")
        if "int8" not in times:
            return
        engine = self.engines[0]
        ratio = times["fp32"][engine] / times["int8"][engine]
        if ratio <= 1:
            warning = f"INT8 is no faster than fp32 on {engine} ({ratio:.2f} times as fast): ship model.fp32.onnx there"
            next(step for step in reversed(self.report.steps) if step.precision == "int8").notes.append(warning)
            self.progress.say(f"warning: {warning}")
        if self.options.min_speedup is not None:
            self.report.add_gate(
                Gate("int8: min_speedup", self.options.min_speedup, ratio, at_least=True),
                f"step int8: {ratio:.2f} times as fast as fp32 on {engine} ({times['fp32'][engine]:.2f} → "
                f"{times['int8'][engine]:.2f} ms), --min-speedup asks for {self.options.min_speedup:g}; "
                f"the report is in {self.out / FAILED_DIR}",
            )


def _torch_logits(network: torch.nn.Module, spec: ModelSpec, frames: Sequence[Frames]) -> list[Array]:
    import torch

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    with torch.inference_mode():
        results = []
        for frame in frames:
            rgb = torch.from_numpy(frame[..., ::-1].copy()).permute(0, 3, 1, 2).float()
            results.append(network((rgb - mean) / std).numpy())
    return results


def _save(model: onnx.ModelProto, path: Path) -> None:
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))


def _versions() -> dict[str, str]:
    import torch

    from ..core.version import __version__

    return {
        "seg-edge": __version__, "torch": str(torch.__version__), "onnx": onnx.__version__,
        "onnxruntime": str(import_module("onnxruntime").__version__), "machine": platform.machine(),
    }  # fmt: skip
