"""The step that builds an engine file of TensorRT or TensorRT-RTX."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile

from ...calib.trt_cache import TRT_CACHE_FILE
from ...core.artefact import SPEC_FILE, atomic_path, write_text
from ...core.spec import ModelSpec
from ...runtime.machine.gpu import gpus
from ...runtime.modelfile.plan import PlanRecord, with_plan
from ..deliver.options import SMALLEST
from ..report.rows import StepRow
from ..trt.artefact import earlier, engine_row
from ..trt.backend import open_backend
from ..trt.build import build_file
from ..trt.options import BuildOptions
from ..trt.record import plan_name, record
from .context import Context


@dataclass(frozen=True)
class EngineFile:
    """An engine file in the artefact.

    Attributes:
        path: The file.
        precision: Precision of the graph that it was built from.
        record: Its record in ``model.json``.
        spec: The spec of the artefact, with the record.
    """

    path: Path
    precision: str
    record: PlanRecord
    spec: ModelSpec


def build_engine_file(
    precisions: Collection[str], spec: ModelSpec, options: BuildOptions, context: Context
) -> tuple[EngineFile, StepRow]:
    """Builds the engine file of the smallest model, or reuses an equal engine file of an earlier export.

    Also writes ``model.json``, which is needed to open the engine file.

    Args:
        precisions: Precisions of the exported models.
        spec: The spec of the artefact.
    """
    precision, options = _graph_for(precisions, options, context.folder)
    backend, here = open_backend(options), gpus()
    local = here[0]["compute_capability"] if here else None
    path = context.folder / plan_name("int8" if options.calibration_cache else precision, options, backend.version, local)
    graph = context.file(precision)
    made, reason = earlier(context.out, path.name, record(graph, precision, "", options, backend, here))
    if made is not None:
        context.progress.say(f"engine: reusing {path.name}")
        with atomic_path(path) as temporary:
            copyfile(context.out / path.name, temporary)
    else:
        context.progress.say(f"engine: building {path.name} with {backend.title}: {reason}")
        made = build_file(graph, path, options, context.progress)
    spec = with_plan(spec, path.name, made)
    write_text(context.folder / SPEC_FILE, spec.to_json() + "\n")
    return EngineFile(path, precision, made, spec), engine_row(path, made)


def _graph_for(precisions: Collection[str], options: BuildOptions, folder: Path) -> tuple[str, BuildOptions]:
    """The precision of the graph to build from, and the options completed for it."""
    if options.dla_core is None:
        precision = next(name for name in SMALLEST if name in precisions)
        return precision, replace(options, half_base=options.half_base or (precision == "int8" and "fp16" in precisions))
    cache = folder / TRT_CACHE_FILE  # DLA rejects Q/DQ: build from fp32 and scales
    return "fp32", replace(options, calibration_cache=options.calibration_cache or (cache if cache.is_file() else None))
