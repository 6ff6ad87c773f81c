"""Measures the steps of an export: compares each with the step before, evaluates it, times it and checks the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...calib.graph import Array, run, session
from ...core.artefact import onnx_name
from ...core.errors import SegEdgeError
from ...core.folder import FAILED_DIR
from ...runtime.engines import open_engine
from ..checks.compare import compare
from ..checks.ledger import MIN_AGREEMENT, EngineRow, engine_rows
from ..checks.measure import Latencies, accuracy, latencies, worst_class
from ..graph.batch import run_batched
from ..graph.labels_head import agreement_of
from ..report.document import ExportReport
from ..report.rows import Gate, StepRow
from ..trt.artefact import engine_gate
from ..trt.here import unknown_gpu, why_not_here
from .context import Context
from .engine_file import EngineFile

#: The result of :func:`seg_edge.measure.evaluation.evaluate_split`.
Evaluation = Mapping[str, Any]

#: Tolerance for an equivalent graph, as a share of the largest logit. Float32 sums in another order differ in the last
#: bits; after twenty layers the difference is still far below this share.
ROUNDING = 1e-3
#: Tolerance for a float16 graph, as a share of the largest logit. Every value is rounded to 11 bits, which adds up to a
#: few hundredths over twenty layers. A value beyond 65504 overflows to inf, which propagates.
HALF_ROUNDING = 0.05
# Trained networks keep more than 98 % of their masks in INT8. Without a stated limit, a lower share than this is
# reported.
_SUSPICIOUS = 0.9
# An mIoU over fewer images is no basis for a decision about a point or two.
_FEW_IMAGES = 20


class Judge:
    """Collects the rows of the report, and checks each row against the limits.

    Args:
        context: The context of the export.
        before: The first rows of the report.
        reference: Logits of the network in torch for the context's parity frames, float32 (1, C, h, w) each.

    Attributes:
        report: The measurements so far.
        evaluations: Step → evaluation on the val split, on the first engine.
    """

    def __init__(self, context: Context, before: Sequence[StepRow], reference: Sequence[Array]) -> None:
        self.report = ExportReport(context.spec, steps=list(before))
        self.evaluations: dict[str, Evaluation] = {}
        self.reference = reference
        self._context = context

    def compare(self, row: StepRow, before: Sequence[Array], after: Sequence[Array], parity: float | None = None) -> None:
        """Appends a step's row and compares its logits with those of the step before, and with torch.

        Args:
            before, after: float32 (1, C, h, w) for each parity frame.
            parity: Largest allowed difference of a logit, as a share of the largest logit; None is no limit.

        Raises:
            BrokenGateError: the difference is larger than ``parity``.
        """
        self.report.steps.append(row)
        difference, whole = compare(before, after), compare(self.reference, after)
        row.agreement, row.max_abs_error = difference.agreement, difference.max_abs_error
        row.against_torch = {"agreement": whole.agreement, "max_abs_error": whole.max_abs_error}
        if parity is not None:
            allowed = parity * max(1.0, difference.peak)
            self.report.add_gate(
                Gate(f"{row.step}: parity", allowed, difference.max_abs_error),
                f"step {row.step}: logits differ by {difference.max_abs_error:.3g} from the step before, allowed are "
                f"{allowed:.3g}; the exporter computes another network: report this",
            )

    def evaluate(
        self, row: StepRow, file: Path, since: str | None = None, evaluation: Evaluation | None = None, hint: str = ""
    ) -> None:
        """Measures a step's accuracy on the val split, if there is one, and checks the limits.

        Args:
            row: The row of the step.
            file: The model.
            since: The step that accuracy is compared with; None compares with no step.
            evaluation: An evaluation that exists already; None evaluates the file.
            hint: A hint for the text of a broken limit.

        Raises:
            BrokenGateError: a limit is broken.
        """
        if self._context.data.val is None:
            return
        after = evaluation or evaluate(self._context, file, row.step)
        self.evaluations[row.step] = after
        row.miou = after["miou"]
        images = f"{after['images']} image{'s' if after['images'] != 1 else ''}"
        row.notes.append(f"mIoU over {images} of the val split on {after['engine']}")
        if after["images"] < _FEW_IMAGES:
            row.notes.append(
                f"mIoU rests on {images}: a difference of a point or two means nothing; validate on more images"
            )
        if since is not None:
            before = self.evaluations[since]
            row.worst_class = worst_class(before, after)
            self._accuracy_gates(row.step, row.miou, row.worst_class, before["miou"], hint)

    def warn_of_few_equal_pixels(self, row: StepRow) -> None:
        """Warns if a step changes the class of so many pixels that an error is likely."""
        if row.agreement is None or row.agreement >= _SUSPICIOUS:
            return
        warning = f"only {100 * row.agreement:.1f} % of the pixels have fp32's class: are the calibration frames typical?"
        row.notes.append(warning)
        self._context.progress.say(f"warning: {row.step}: {warning}")

    def masks(self, row: StepRow, agreement: float, least: float) -> None:
        """Appends the row of a model with labels, and compares its masks with those of the runtime's kernel.

        Raises:
            BrokenGateError: the share of equal pixels is below ``least``, 0..1.
        """
        self.report.steps.append(row)
        row.agreement = agreement
        self.report.add_gate(
            Gate(f"{row.step} {row.precision}: parity", least, agreement, at_least=True),
            f"step {row.step}, {row.precision}: {100 * agreement:.4f} % of the pixels are as the kernel makes them, "
            f"at least {100 * least:g} % are needed; report this",
        )

    def engines(self, models: Mapping[str, onnx.ModelProto]) -> None:
        """Measures each file on each engine against its graph.

        Args:
            models: Precision → graph of the file, fp32 first.

        Raises:
            BrokenGateError: an engine's output differs too much from the graph, or its accuracy breaks a limit.
        """
        context = self._context
        step_of = {"fp32": "simplify", "fp16": "fp16", "int8": "int8"}

        def evaluated(file: Path, precision: str, engine: str) -> Evaluation | None:
            known = self.evaluations.get(step_of[precision]) if engine == context.engines[0] else None
            if context.data.val is None or (known is not None and file.name == onnx_name(precision)):
                return known
            return evaluate(context, file, precision, engine)

        files = {precision: (context.file(precision), model) for precision, model in models.items()}
        rows = engine_rows(files, context.engines, context.data.parity, context.options.threads, evaluated, context.progress)
        for row, before in rows:
            self.report.engines.append(row)
            if not row.simulated:
                self._engine_gates(row, before)

    def record(self, row: StepRow) -> None:
        """Appends the row of a file whose model an earlier row has measured."""
        self.report.steps.append(row)

    def engine_file(self, row: StepRow, built: EngineFile, model: onnx.ModelProto) -> None:
        """Appends the row of an engine file; if this machine can run it, compares it with its graph and times it.

        Args:
            model: The graph that the file was built from.

        Raises:
            BrokenGateError: the engine fails, or its output differs too much from the graph.
        """
        self.report.steps.append(row)
        context, made = self._context, built.record
        reason = why_not_here(made)
        if reason is not None:
            row.notes.append(f"not run here: {reason}")
            return
        # DLA computes float layers in half precision.
        least = MIN_AGREEMENT["fp16" if made.dla_core is not None and made.precision == "fp32" else made.precision]
        gate, batch = engine_gate(made.precision), context.options.batch
        groups = [np.repeat(frame, batch or 1, 0) for frame in context.data.parity]
        try:
            with open_engine(built.path, made.flavour) as engine:
                outputs = [engine.infer(group)[:1].copy() for group in groups]
        except SegEdgeError as error:
            reason = unknown_gpu(made)
            if reason is not None:
                row.notes.append(f"not run here: {reason}; {error}")
                return
            row.notes.append(f"fails: {error}")
            self.report.add_gate(
                Gate(gate, least, nan, at_least=True),
                f"step engine, {made.precision}: {built.path.name} can't be run on the machine that built it: {error}",
            )
            raise  # unreachable: add_gate raises, because nan reaches no limit
        expected = run_batched(model, context.data.parity, batch)
        if self.report.spec.output == "labels":
            row.agreement = agreement_of(expected, outputs)
        else:
            difference = compare(expected, outputs)
            row.agreement, row.max_abs_error = difference.agreement, difference.max_abs_error
        row.notes.append("compared with its graph on ONNX Runtime")
        self.report.add_gate(
            Gate(gate, least, row.agreement, at_least=True),
            f"step engine, {made.precision}: {100 * row.agreement:.2f} % of the pixels have the class that the graph "
            f"gives, at least {100 * least:g} must; {built.path.name} computes another network: take another version of "
            f"{made.title.partition(' ')[0]} and report this",
        )
        measured = latencies({"engine": built.path}, groups[0], [made.flavour], None)
        row.latency_ms = measured.table["engine"]
        row.notes += filter(None, [measured.warning()])

    def time(self, files: Mapping[str, Path]) -> None:
        """Times the files in alternating turns on each engine, and checks the speedup of INT8.

        Args:
            files: Precision → model file.

        Raises:
            BrokenGateError: INT8 is slower than the options require.
        """
        context = self._context
        context.progress.say(f"latency on {', '.join(context.engines)}")
        frame = context.data.parity[0].repeat(context.options.batch or 1, 0)
        count = context.progress.count("latency")
        measured = latencies(files, frame, context.engines, context.options.threads, count)
        for row in self.report.steps:
            if row.file is not None:
                row.latency_ms = measured.table[row.precision]
            elif not row.latency_ms:
                row.notes.append("latency is measured on files that are kept")
        for row in self.report.steps:
            if row.file is not None and (warning := measured.warning(row.precision)):
                row.notes.append(warning)
        if warning := measured.warning():
            context.progress.say(f"warning: latency: {warning}")
        if "int8" in files:
            self._speedup(measured)

    def _speedup(self, measured: Latencies) -> None:
        context, engine = self._context, self._context.engines[0]
        fp32_ms, int8_ms = measured.table["fp32"][engine], measured.table["int8"][engine]
        ratio = fp32_ms / int8_ms
        if ratio <= 1:
            warning = f"INT8 is no faster than fp32 on {engine} ({ratio:.2f} times as fast): ship model.fp32.onnx there"
            next(row for row in reversed(self.report.steps) if row.precision == "int8").notes.append(warning)
            context.progress.say(f"warning: {warning}")
        least = context.options.min_speedup
        if least is None:
            return
        disturbed = measured.warning("fp32", "int8", engine=engine)
        doubt = f" ({disturbed})" if disturbed else ""
        self.report.add_gate(
            Gate("int8: min_speedup", least, ratio, at_least=True, note=disturbed),
            f"step int8: {ratio:.2f} times as fast as fp32 on {engine} ({fp32_ms:.2f} → {int8_ms:.2f} ms), "
            f"`min_speedup` asks for {least:g}{doubt}; the report is in {context.out / FAILED_DIR}",
        )

    def _engine_gates(self, row: EngineRow, before: Evaluation | None) -> None:
        least = MIN_AGREEMENT[row.precision]
        self.report.add_gate(
            Gate(f"{row.name}: parity", least, row.agreement, at_least=True),
            f"step {row.name}: {100 * row.agreement:.2f} % of the pixels have the class that the graph gives, at least "
            f"{100 * least:g} must; the engine computes another network: take another `engine` and report this",
        )
        if before is not None and row.engine != self._context.engines[0]:
            self._accuracy_gates(row.name, row.miou, row.worst_class, before["miou"], "")

    def _accuracy_gates(
        self, step: str, miou: float | None, worst: dict[str, Any] | None, before: float | None, hint: str
    ) -> None:
        limits, where = self._context.options, f"{hint}the report is in {self._context.out / FAILED_DIR}"
        if limits.max_drop is not None and before is not None and miou is not None:
            drop = before - miou
            self.report.add_gate(
                Gate(f"{step}: max_drop", limits.max_drop, drop),
                f"step {step}: mIoU drops by {100 * drop:.2f} points ({100 * before:.2f} to {100 * miou:.2f}), "
                f"`max_drop` allows {100 * limits.max_drop:g}; {where}",
            )
        if limits.max_class_drop is not None and worst is not None:
            drop = -worst["delta"]
            self.report.add_gate(
                Gate(f"{step}: max_class_drop", limits.max_class_drop, drop),
                f"step {step}: IoU of {worst['name']} drops by {100 * drop:.2f} points, "
                f"`max_class_drop` allows {100 * limits.max_class_drop:g}; {where}",
            )


def logits(model: onnx.ModelProto, context: Context) -> list[Array]:
    """The logits of a graph for the parity frames: float32 (1, C, h, w) each."""
    opened = session(model, threads=context.options.threads or 0)
    return [run(opened, frame)[0] for frame in context.data.parity]


def evaluate(context: Context, file: Path, title: str, engine: str | None = None) -> Evaluation:
    """The evaluation of a model file on the val split; ``engine=None`` is the first engine."""
    assert context.data.val is not None
    engine = engine or context.engines[0]
    count = context.progress.count(f"{title}: mIoU on {engine}")
    return accuracy(file, context.data.val, engine, context.options.threads, count)
