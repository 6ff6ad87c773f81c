"""The chain's last steps: what other tools and devices get: another head, engine files, OpenVINO IR, Triton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from shutil import copyfile

import numpy as np
import onnx

from ...calib.graph import Frames
from ...calib.trt_cache import TRT_CACHE_FILE
from ...core.artefact import SPEC_FILE, atomic_path, onnx_name, write_text
from ...core.errors import InputError, SegEdgeError
from ...core.progress import Progress
from ...core.spec import ModelSpec
from ...runtime.engines import open_engine
from ...runtime.machine.gpu import gpus
from ...runtime.modelfile.plan import PLAN_SUFFIXES, PlanRecord, with_plan
from ..checks.compare import compare
from ..checks.ledger import MIN_AGREEMENT as ENGINE_AGREEMENT
from ..checks.measure import latencies_ms
from ..graph.batch import run_batched
from ..graph.labels_head import MIN_AGREEMENT, agreement_of, check_head, kernel_masks, with_labels
from ..report.rows import Gate, Report, Step
from ..trt.artefact import earlier, engine_gate, engine_row
from ..trt.build import BuildOptions, build_file, plan_name, record
from ..trt.here import unknown_gpu, why_not_here
from .openvino_ir import write_ir
from .triton import platform_of, write_repository

#: Smallest first: what an artefact was made for.
SMALLEST = ("int8", "fp16", "fp32")


@dataclass(frozen=True)
class DeliverOptions:
    """What an export delivers beside the ONNX files.

    Attributes:
        head: ``"logits"``, or ``"labels"``: upsample and argmax inside the graph.
        plan: How to build an engine file from the smallest model; None builds none.
        ir: Whether to write OpenVINO IR of every model.
        triton: Model repository to put the smallest model into (its engine of TensorRT, if one was built), or None.
    """

    head: str = "logits"
    plan: BuildOptions | None = None
    ir: bool = False
    triton: Path | None = None

    def check(self) -> None:
        """Raises InputError, UnknownNameError or EngineError for what can't be delivered, before any work is done."""
        check_head(self.head)
        if self.triton is not None and self.triton.is_file():
            raise InputError(f"--triton {self.triton}: is a file; choose a folder, Triton's model repository")
        if self.plan is not None:
            self.plan.open()


class Delivery:
    """The steps on the models of a chain.

    Args:
        folder: The artefact that is being built.
        report: Gets a row for each file.
        frames: uint8 (1, H, W, 3) each, to compare on.
        batch: Frames per inference of the models; None: any number.
        before: An earlier artefact, whose engine file is taken if a build would give the same; None: there is none.
    """

    def __init__(
        self,
        folder: Path,
        report: Report,
        options: DeliverOptions,
        frames: Sequence[Frames],
        batch: int | None,
        progress: Progress,
        before: Path | None = None,
    ) -> None:
        self.before = before
        self.folder, self.report, self.options = folder, report, options
        self.frames, self.batch, self.progress = frames, batch, progress

    def heads(self, models: Mapping[str, onnx.ModelProto]) -> dict[str, onnx.ModelProto]:
        """Gives every model the labels head; each must give the masks that the runtime's kernel makes of its logits.

        Raises:
            BrokenGateError: it does not.
        """
        if self.options.head != "labels":
            return dict(models)
        results = {}
        for precision, model in models.items():
            self.progress.say(f"labels: {precision}")
            result = results[precision] = with_labels(model)
            path = self.folder / onnx_name(precision)
            with atomic_path(path) as temporary:
                onnx.save(result, str(temporary))
            for row in self.report.steps:
                if row.file == path.name:
                    row.file = None
                    row.notes.append("measured with logits; the file is an intermediate")
            step = Step.of("labels", path, precision)
            step.notes.append("compared with the runtime's kernel on the logits; mIoU is that of the logits")
            self.report.steps.append(step)
            size_hw = self.report.spec.input_hw
            expected = kernel_masks(run_batched(model, self.frames, self.batch), size_hw)
            step.agreement = agreement_of(expected, run_batched(result, self.frames, self.batch))
            self.report.add_gate(
                Gate(f"labels {precision}: parity", MIN_AGREEMENT[precision], step.agreement, at_least=True),
                f"step labels, {precision}: {100 * step.agreement:.4f} % of the pixels are as the kernel makes them, "
                f"at least {100 * MIN_AGREEMENT[precision]:g} % are needed; report this",
            )
        self.report.spec = self.report.spec.with_(output="labels")
        return results

    def files(self, models: Mapping[str, onnx.ModelProto]) -> None:
        """Writes OpenVINO IR and the engine file."""
        if self.options.ir:
            for precision in models:
                self._ir(precision)
        if self.options.plan is not None:
            self._engine(self.options.plan, models)

    def _ir(self, precision: str) -> None:
        source = self.folder / onnx_name(precision)
        self.progress.say(f"ir: {source.stem}.xml")
        spec = self.report.spec.with_(precision=precision)
        for path in write_ir(source, spec, source.with_suffix(".xml")):
            step = Step.of("ir", path, precision)
            step.notes.append(f"OpenVINO IR of {source.name}")
            self.report.steps.append(step)

    def _engine(self, options: BuildOptions, models: Mapping[str, onnx.ModelProto]) -> None:
        if options.dla_core is None:
            precision = next(name for name in SMALLEST if name in models)
            options = replace(options, half_base=options.half_base or (precision == "int8" and "fp16" in models))
        else:  # DLA rejects Q/DQ
            precision = "fp32"
            cache = self.folder / TRT_CACHE_FILE
            options = replace(options, calibration_cache=options.calibration_cache or (cache if cache.is_file() else None))
        backend, here = options.open(), gpus()
        final = "int8" if options.calibration_cache else precision
        local = here[0]["compute_capability"] if here else None
        path = self.folder / plan_name(final, options, backend.version, local)
        graph = self.folder / onnx_name(precision)
        made, reason = None, "no such engine yet"
        if self.before is not None:
            made, reason = earlier(self.before, path.name, record(graph, precision, "", options, backend, here))
        if made is not None and self.before is not None:
            self.progress.say(f"engine: reusing {path.name}")
            with atomic_path(path) as temporary:
                copyfile(self.before / path.name, temporary)
        else:
            self.progress.say(f"engine: building {path.name} with {backend.title}: {reason}")
            made = build_file(graph, path, options, self.progress)
        self.report.spec = with_plan(self.report.spec, path.name, made)
        write_text(self.folder / SPEC_FILE, self.report.spec.to_json() + "\n")  # the engine is opened with it
        step = engine_row(path, made)
        self.report.steps.append(step)
        self._try(step, path, models[precision], made)

    def _try(self, step: Step, path: Path, model: onnx.ModelProto, made: PlanRecord) -> None:
        """Runs an engine file where this machine can, and compares it with the graph that it was built from.

        Raises:
            BrokenGateError: it fails, or computes something else.
        """
        reason = why_not_here(made)
        if reason is not None:
            step.notes.append(f"not run here: {reason}")
            return
        # DLA computes float layers in half precision.
        least = ENGINE_AGREEMENT["fp16" if made.dla_core is not None and made.precision == "fp32" else made.precision]
        groups = [np.repeat(frame, self.batch or 1, 0) for frame in self.frames]
        try:
            with open_engine(path, made.flavour) as engine:
                found = [engine.infer(group)[:1].copy() for group in groups]
        except SegEdgeError as error:
            reason = unknown_gpu(made)
            if reason is not None:
                step.notes.append(f"not run here: {reason}; {error}")
                return
            step.notes.append(f"fails: {error}")
            self.report.add_gate(
                Gate(engine_gate(made.precision), least, nan, at_least=True),
                f"step engine, {made.precision}: {path.name} can't be run on the machine that built it: {error}",
            )
            raise  # add_gate has: nan reaches no limit
        expected = run_batched(model, self.frames, self.batch)
        if self.report.spec.output == "labels":
            step.agreement = agreement_of(expected, found)
        else:
            difference = compare(expected, found)
            step.agreement, step.max_abs_error = difference.agreement, difference.max_abs_error
        step.notes.append("compared with its graph on ONNX Runtime")
        self.report.add_gate(
            Gate(engine_gate(made.precision), least, step.agreement, at_least=True),
            f"step engine, {made.precision}: {100 * step.agreement:.2f} % of the pixels have the class that the graph "
            f"gives, at least {100 * least:g} must; {path.name} computes another network: take another version of "
            f"{made.title.partition(' ')[0]} and report this",
        )
        step.latency_ms = latencies_ms({"engine": path}, groups[0], [made.flavour], None)["engine"]


def to_triton(artefact: Path, repository: Path, spec: ModelSpec, batch: int | None) -> Path:
    """Puts an artefact's TensorRT engine, or its smallest ONNX file, into a Triton model repository.

    Returns:
        The model's folder in the repository.

    Raises:
        InputError: the folder can't be written.
    """
    engines = [path for path in sorted(artefact.iterdir()) if path.suffix in PLAN_SUFFIXES]
    for path in engines:
        try:
            platform_of(path)
        except InputError:  # of TensorRT-RTX: Triton takes the ONNX file
            continue
        return write_repository(path, spec.with_(precision=path.name.split(".")[1]), repository, batch)
    precision = next(name for name in SMALLEST if (artefact / onnx_name(name)).is_file())
    return write_repository(artefact / onnx_name(precision), spec.with_(precision=precision), repository, batch)
