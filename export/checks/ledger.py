"""The last part of the parity checks: the output of each engine for each file, against the graph of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from ...calib.graph import Array, Frames, run, session
from ...core.artefact import atomic_path
from ...core.progress import Progress
from ...runtime.engines import TABLE, engine_class, open_engine
from ...runtime.modelfile.dialect import DIALECTS, translate
from .compare import compare
from .measure import worst_class

#: Least share of pixels in which an engine must agree with the node-by-node result of the graph. Rounding causes
#: smaller differences; causes of larger ones are a kernel that saturates, or a plugin that computes in half precision
#: by default.
MIN_AGREEMENT = {"fp32": 0.99, "fp16": 0.98, "int8": 0.95}
#: The engine that computes the dialects of engines that are not available.
SIMULATOR = "onnxruntime"

Evaluation = Mapping[str, Any]


@dataclass(frozen=True)
class EngineRow:
    """One file on one engine. Fractions 0..1; None = not measured.

    Attributes:
        precision: Precision of the file.
        engine: Name of the engine.
        version: Version of the engine; None for a simulated engine.
        agreement: Share of output pixels with the same class as the graph, computed in float node by node.
        max_abs_error: Largest difference of a logit.
        miou: mIoU on the val split.
        worst_class: ``{name, delta}`` against fp32 on the same engine; None for fp32 itself.
        simulated: Whether another engine computed this engine's dialect, because this engine is not available.
    """

    precision: str
    engine: str
    version: str | None
    agreement: float
    max_abs_error: float
    miou: float | None = None
    worst_class: dict[str, Any] | None = None
    simulated: bool = False

    @property
    def name(self) -> str:
        """Name in gates and messages: ``"int8 on openvino"``."""
        return f"{self.precision} on {self.engine}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"max_abs_error": self.max_abs_error if math.isfinite(self.max_abs_error) else None}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> EngineRow:
        """Reads the result of :meth:`to_dict`."""
        error = row["max_abs_error"]
        return cls(**{**row, "max_abs_error": math.nan if error is None else error})


def graph_logits(model: onnx.ModelProto, frames: Sequence[Frames], threads: int | None) -> list[Array]:
    """Logits of the graph, computed in float node by node, Q/DQ pairs included."""
    opened = session(model, threads=threads or 0, fuse_quantized=False)
    return [run(opened, frame)[0] for frame in frames]


def engine_logits(path: Path, engine: str, frames: Sequence[Frames], threads: int | None) -> list[Array]:
    """Logits of an engine."""
    with open_engine(path, engine, threads) as opened:
        return [opened.infer(frame).copy() for frame in frames]


def engine_rows(
    files: Mapping[str, tuple[Path, onnx.ModelProto]],
    engines: Sequence[str],
    frames: Sequence[Frames],
    threads: int | None,
    evaluate: Callable[[Path, str, str], Evaluation | None],
    progress: Progress,
) -> Iterator[tuple[EngineRow, Evaluation | None]]:
    """Measures each file on each engine, and INT8 also in the dialects of engines that are not available.

    Args:
        files: Precision → file and its graph, fp32 first.
        engines: The available engines.
        frames: uint8 (1, H, W, 3) each, at the network's input size.
        evaluate: (file, precision, engine) → the evaluation, or None without a val split.

    Yields:
        Each row, and the evaluation of fp32 on the same engine for comparison (None for fp32 itself).
    """
    fp32: dict[str, Evaluation | None] = {}
    for precision, (path, model) in files.items():
        reference = graph_logits(model, frames, threads)
        absent = [name for name, rules in DIALECTS.items() if rules and precision == "int8" and not _available(name)]
        for engine in dict.fromkeys([*engines, *absent]):
            simulated = engine in absent
            progress.say(f"{precision} on {engine}{' (simulated)' if simulated else ''}")
            runs_on, file = (SIMULATOR, path.with_name(f"{path.stem}.{engine}.onnx")) if simulated else (engine, path)
            if simulated:
                with atomic_path(file) as temporary:
                    temporary.write_bytes(translate(path.read_bytes(), engine))
            try:
                difference = compare(reference, engine_logits(file, runs_on, frames, threads))
                evaluation = evaluate(file, precision, runs_on)
            finally:
                if simulated:
                    file.unlink()
            if precision == "fp32":
                fp32[engine] = evaluation
            before = None if precision == "fp32" else fp32.get(engine, fp32.get(engines[0]))
            yield (
                EngineRow(
                    precision=precision,
                    engine=engine,
                    version=None if simulated else engine_class(engine).available().version,
                    agreement=difference.agreement,
                    max_abs_error=difference.max_abs_error,
                    miou=None if evaluation is None else evaluation["miou"],
                    worst_class=None if before is None or evaluation is None else worst_class(before, evaluation),
                    simulated=simulated,
                ),
                before,
            )


def _available(engine: str) -> bool:
    return engine in TABLE and engine_class(engine).available().ok
