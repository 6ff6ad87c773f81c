"""The last lines of the parity ledger: what each engine makes of the files, against what their graphs say."""

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

#: Least share of pixels in which an engine must agree with the graph computed as it is written. Below lies no rounding but
#: another network: a kernel that saturates, or a plugin that computes in half precision unasked.
MIN_AGREEMENT = {"fp32": 0.99, "fp16": 0.98, "int8": 0.95}
#: The engine that the dialects of absent engines run on.
SIMULATOR = "onnxruntime"

Evaluation = Mapping[str, Any]


@dataclass(frozen=True)
class EngineRow:
    """One file on one engine. Fractions 0..1; None = not measured.

    Attributes:
        precision: Of the file.
        engine: Name of the engine.
        version: Its version; None for one that is simulated.
        agreement: Share of output pixels with the class that the graph gives, computed in float as it is written.
        max_abs_error: Largest difference of a logit.
        miou: On the val split.
        worst_class: ``{name, delta}`` against fp32 on the same engine; None for fp32 itself.
        simulated: The engine's dialect was computed by another engine, because this one is not here.
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
        """How gates and messages call it: ``"int8 on openvino"``."""
        return f"{self.precision} on {self.engine}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"max_abs_error": self.max_abs_error if math.isfinite(self.max_abs_error) else None}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> EngineRow:
        """Reads what :meth:`to_dict` wrote."""
        error = row["max_abs_error"]
        return cls(**{**row, "max_abs_error": math.nan if error is None else error})


def graph_logits(model: onnx.ModelProto, frames: Sequence[Frames], threads: int | None) -> list[Array]:
    """What the graph says: every node in float, one by one, Q/DQ pairs as they are written."""
    opened = session(model, threads=threads or 0, fuse_quantized=False)
    return [run(opened, frame)[0] for frame in frames]


def engine_logits(path: Path, engine: str, frames: Sequence[Frames], threads: int | None) -> list[Array]:
    """What an engine computes."""
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
    """Measures each file on each engine, and INT8 also in the dialects of engines that are not here.

    Args:
        files: Precision → file and its graph, fp32 first.
        engines: Engines that are here.
        frames: uint8 (1, H, W, 3) each, at the network's input size.
        evaluate: (file, precision, engine) → its evaluation, or None where there is no val split.

    Yields:
        Each row, and the evaluation of fp32 on the same engine that it is held against (None for fp32 itself).
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
