"""The stage of pruning: from a checkpoint to a narrower checkpoint, with measurements of each step and gates."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...core.artefact import SPEC_FILE, sha256, write_text
from ...core.errors import InputError
from ...core.folder import FAILED_DIR, replaced_folder
from ...core.progress import Progress, Silent
from ...core.shipped import CHECKPOINT, shipped
from ...core.spec import ModelSpec
from ...datasets.dataset import SegDataset
from ...train.checkpoint import BEST, Checkpoint, load_checkpoint, save_checkpoint
from ...train.checkpoint.teacher import open_teacher, provenance
from ...train.config import TrainConfig
from ...train.models.catalog import build
from ...train.models.config import config_of
from ...train.models.registry import macs, parameters
from ...train.models.widths import layer_widths
from ...train.prepare import open_for
from ...train.training import fit
from ..checks.measure import accuracy, latencies, measured_engines, worst_class
from ..report.rows import Gate
from .importance import Scorer, scorer
from .names import NEED_DATA
from .options import PruneOptions
from .report import PruneGateError, PruneReport, PruneRow
from .samples import estimate_statistics, losses
from .search import MeasureLatency, example_for, latency_ms, save_onnx, search, value_of
from .structure import allocate, narrow, units


def prune_checkpoint(
    checkpoint: str | Path,
    out: str | Path,
    options: PruneOptions,
    progress: Progress | None = None,
    measure: MeasureLatency | None = None,
) -> PruneReport:
    """Prunes a checkpoint of the compact family, or of a network of the zoo; see :func:`seg_edge.export.prune`.

    Args:
        measure: Replaces the latency measurement for a goal of latency, for tests; None measures.
    """
    out = Path(out)
    if options.goal.engine is not None:
        measured_engines(options.goal.engine)
    checkpoint = shipped(checkpoint, CHECKPOINT)
    start = load_checkpoint(checkpoint)
    with replaced_folder(out) as folder:
        pruning = _Pruning(checkpoint, start, folder, options, progress or Silent(), measure)
        try:
            pruning.run()
        except PruneGateError:
            failed = out / FAILED_DIR
            failed.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / BEST, failed / BEST)
            pruning.report.write_folder(failed)
            raise
    return pruning.report


class _Pruning:
    def __init__(
        self, path: Path, start: Checkpoint, folder: Path, options: PruneOptions, progress: Progress,
        measure: MeasureLatency | None,
    ) -> None:  # fmt: skip
        self.start, self.folder, self.options, self.progress = start, folder, options, progress
        self.net: nn.Module = start.model
        self.spec: ModelSpec = start.spec
        self.engines = measured_engines(options.engine)
        self.measure = measure or (
            lambda net, spec, engine: latency_ms(net, spec, engine, options.threads, self.warned, quick=True)
        )
        self.judged = measure or (lambda net, spec, engine: latency_ms(net, spec, engine, options.threads, self.warned))
        self.warnings: list[str] = []  # about the last measurement of a latency
        if options.distill is not None:
            open_teacher(options.distill.teacher, start.spec.labels)  # raises for a wrong teacher before the work
        self.val, self.train = self._split("val"), self._split("train")
        self.before: dict[str, Any] | None = None
        self.original: dict[str, int] = {}
        self.files: dict[str, Path] = {}
        about = {
            "parent": {"file": path.name, "sha256": sha256(path)},
            "goal": options.goal.text(),
            "importance": options.importance, "scope": options.scope, "round_to": options.round_to,
            "finetune": {key: getattr(options, key) for key in ("lr", "batch", "seed")} | {"epochs": options.finetune},
            "teacher": provenance(options.distill) if options.distill else None,
            "steps": [],
        }  # fmt: skip
        if "pruned" in start.spec.provenance:
            about["earlier"] = start.spec.provenance["pruned"]
        self.report = PruneReport(start.spec.name, about)

    def warned(self, text: str) -> None:
        """Receives a warning about the measurement of a latency."""
        self.warnings.append(text)
        self.progress.say(f"warning: latency: {text}")

    def _split(self, split: str) -> SegDataset | None:
        if self.options.data is None:
            return None
        return open_for(self.options.data, split, self.start)

    def run(self) -> None:
        options = self.options
        prunable = units(self.net, example_for(self.spec), scorer("l2", self.net))
        self.original = {unit.name: unit.channels for unit in prunable}
        first = 0.0 if options.goal.kind == "ratio" else value_of(options.goal, self.net, self.spec, self.measure)
        self.measured("start", 0.0)
        for step in range(1, options.steps + 1):
            began = time.perf_counter()
            self.prune_step(step, first)
            self.measured(f"prune {step}", time.perf_counter() - began)
            if options.finetune:
                began = time.perf_counter()
                self.finetune_step(step)
                self.measured(f"fine-tune {step}", time.perf_counter() - began)
        self.finish()

    def score(self, net: nn.Module) -> Scorer:
        name, samples = self.options.importance, None
        if name in NEED_DATA:
            assert self.train is not None
            samples = self.progress.track(list(losses(self.train, self.spec, self.options.images)), f"importance: {name}")
        return scorer(name, net, samples, self.options.seed)

    def prune_step(self, step: int, first: float) -> None:
        options, example = self.options, example_for(self.spec)
        self.progress.say(f"prune {step}/{options.steps}: {options.goal.text()}, {options.importance}, {options.scope}")
        score = self.score(self.net)
        prunable = units(self.net, example, score)
        limit = options.goal.at(step, options.steps, first)
        if options.goal.kind == "ratio":
            widths = allocate(prunable, limit, options.scope, options.round_to, self.original)
        else:
            widths = search(
                self.net, prunable, options.goal, limit, self.spec, scope=options.scope, multiple=options.round_to,
                original=self.original, measure=self.measure, say=self.progress.say,
            )  # fmt: skip
        if step == options.steps and all(width == self.original[name] for name, width in widths.items()):
            raise InputError(
                f"prune: {options.goal.text()} removes no channel in multiples of {options.round_to}; "
                "choose a harder goal or a smaller `round_to`"
            )
        narrow(self.net, example, score, widths)
        self.net = self.rebuilt()
        if self.train is not None:
            estimate_statistics(self.net, self.train, self.spec, options.images, track=self.progress.track)
        self.report.about["steps"].append(
            {"ratio": 1 - sum(widths.values()) / sum(self.original.values()), "params": parameters(self.net),
             "macs": macs(self.net, self.spec.input_hw)}
        )  # fmt: skip

    def rebuilt(self) -> nn.Module:
        """The pruned network, rebuilt from its config and state dict; its output must be equal bit for bit."""
        again = build(self.start.name, len(self.spec.labels), config_of(self.net))
        again.load_state_dict(self.net.state_dict())
        again.eval()
        x = torch.randn(1, 3, *example_for(self.spec).shape[2:], generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            if not torch.equal(self.net.eval()(x), again(x)):
                raise InputError("prune: the rebuilt network computes something else than the pruned one; report this")
        return again

    def finetune_step(self, step: int) -> None:
        options = self.options
        assert options.data is not None
        self.progress.say(f"fine-tune {step}/{options.steps}: {options.finetune} epochs")
        work = self.folder / f"finetune{step}"
        begin = self.folder / "begin.pt"
        save_checkpoint(begin, self.checkpoint())
        config = TrainConfig(
            model=self.start.name, epochs=options.finetune, batch=options.batch,
            size_hw=self.spec.input_hw, lr=options.lr, seed=options.seed, device=options.device,
            precision=options.precision, workers=options.workers, init=begin,
            distill=options.distill,
        )  # fmt: skip
        fit(options.data, work, config, progress=self.progress)
        self.net = load_checkpoint(work / BEST).model
        for path in (work / BEST, work / "last.pt", begin):  # metrics.csv, curves.png and report.json stay
            path.unlink()

    def checkpoint(self) -> Checkpoint:
        provenance = dict(self.start.spec.provenance) | {"pruned": self.report.about}
        trained = self.options.finetune * sum(row.step.startswith("fine-tune") for row in self.report.steps)
        return replace(
            self.start, model=self.net, config=config_of(self.net), epoch=self.start.epoch + trained,
            spec=self.start.spec.with_(provenance=provenance),
        )  # fmt: skip

    def measured(self, step: str, seconds: float) -> None:
        row = PruneRow(step, sum(self.channels().values()), parameters(self.net), macs(self.net, self.spec.input_hw))
        path = save_onnx(self.net, self.spec, self.folder / f"{step.replace(' ', '')}.onnx")
        row.seconds, row.sha256, row.bytes = seconds, sha256(path), path.stat().st_size
        if self.val is not None:
            count = self.progress.count(f"{step}: mIoU on {self.engines[0]}")
            evaluation = accuracy(path, self.val, self.engines[0], self.options.threads, count)
            row.miou = evaluation["miou"]
            if self.before is None:
                self.before = evaluation
            else:
                row.worst_class = worst_class(self.before, evaluation)
        self.files[step] = path
        self.report.steps.append(row)

    def timed(self) -> None:
        """Times the networks of all steps in alternating turns: a machine that slows down then affects all of them."""
        self.progress.say(f"latency on {', '.join(self.engines)}")
        frame = np.random.default_rng(0).integers(0, 256, (1, *self.spec.input_hw, 3), np.uint8)
        measured = latencies(self.files, frame, self.engines, self.options.threads, self.progress.count("latency"))
        for row in self.report.steps:
            row.latency_ms = measured.table[row.step]
            row.note = measured.warning(row.step)
            self.files[row.step].unlink()
        if warning := measured.warning():
            self.progress.say(f"warning: latency: {warning}")

    def channels(self) -> dict[str, int]:
        widths = layer_widths(self.net)
        return {name: widths[name][1] for name in self.original}

    def finish(self) -> None:
        self.timed()
        result = self.checkpoint()
        first, last = self.report.steps[0], self.report.steps[-1]
        if last.miou is not None:
            kept = dict(result.spec.provenance) | {"val": {"miou": last.miou}}
            result = replace(result, spec=result.spec.with_(provenance=kept))
        save_checkpoint(self.folder / BEST, result)
        self.report.widths = result.config
        self.report.checkpoint = {"file": BEST, "sha256": sha256(self.folder / BEST)}
        write_text(self.folder / SPEC_FILE, result.spec.to_json() + "\n")
        self.gates(first, last)
        self.report.write_folder(self.folder)

    def gates(self, first: PruneRow, last: PruneRow) -> None:
        options, goal = self.options, self.options.goal
        if goal.kind != "ratio":
            start = first.macs if goal.kind == "macs" else first.params
            limit = goal.at(1, 1, start)
            self.warnings.clear()
            value = value_of(goal, self.net, self.spec, self.judged)
            doubt = "; ".join(self.warnings)
            text = f"the goal is {goal.text()}, measured: {value:.4g}{f' ({doubt})' if doubt else ''}"
            self.gate(f"target {goal.kind}", limit, value, text, doubt)
        if options.max_drop is not None and first.miou is not None and last.miou is not None:
            drop = first.miou - last.miou
            self.gate(
                "max_drop", options.max_drop, drop,
                f"mIoU drops by {100 * drop:.2f} points ({100 * first.miou:.2f} to {100 * last.miou:.2f}), `max_drop` "
                f"allows {100 * options.max_drop:g}; fine-tune longer (`finetune`), in more `steps`, or prune less",
            )  # fmt: skip
        if options.max_class_drop is not None and last.worst_class is not None:
            drop = -last.worst_class["delta"]
            self.gate(
                "max_class_drop", options.max_class_drop, drop,
                f"IoU of {last.worst_class['name']} drops by {100 * drop:.2f} points, `max_class_drop` allows "
                f"{100 * options.max_class_drop:g}; fine-tune longer (`finetune`), in more `steps`, or prune less",
            )  # fmt: skip

    def gate(self, name: str, limit: float, value: float, text: str, note: str = "") -> None:
        gate = Gate(name, limit, value, note=note)
        self.report.gates.append(gate)
        if not gate.passed:
            raise PruneGateError(f"prune: {text}; the result is in {FAILED_DIR}/ beside it", self.report)
