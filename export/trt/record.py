"""File name and record of an engine file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.artefact import sha256
from ...core.version import __version__
from ...runtime.engines import nvinfer
from ...runtime.engines.nvinfer import Backend
from ...runtime.modelfile.plan import PlanRecord
from .options import BuildOptions, capability


def plan_name(precision: str, options: BuildOptions, version: str, gpu_capability: str | None = None) -> str:
    """File name of an engine, with precision, GPU and builder: ``model.int8.sm89.rtx1.7.1.engine``."""
    targets = [capability(text) for text in options.compute_capabilities] or ([gpu_capability] if gpu_capability else [])
    where = "_".join("sm" + target.replace(".", "") for target in targets) or "any"
    if options.dla_core is not None:
        where += f"_dla{options.dla_core}"
    short = ".".join(map(str, nvinfer.version_numbers(version)[:3]))
    return f"model.{precision}.{where}.{options.flavour}{short}.engine"


def record(
    model_path: Path, precision: str, digest: str, options: BuildOptions, backend: Backend, here: list[dict[str, Any]]
) -> PlanRecord:
    """The record of a build from ``model_path`` with these options; ``digest`` is empty before the build."""
    targets = [capability(text) for text in options.compute_capabilities]
    if not targets and options.flavour == "tensorrt" and here and here[0]["compute_capability"]:
        targets = [here[0]["compute_capability"]]
    return PlanRecord(
        flavour=options.flavour,
        version=backend.version,
        cuda=backend.cuda,
        gpu=here[0]["name"] if here else None,
        compute_capabilities=targets,
        precision="int8" if options.calibration_cache is not None else precision,
        onnx=model_path.name,
        onnx_sha256=sha256(model_path),
        sha256=digest,
        version_compatible=options.version_compatible,
        hardware="ampere_plus" if options.hardware_compatible else "none",
        dla_core=options.dla_core,
        options={
            "workspace_mib": options.workspace_mib,
            "half_base": options.half_base,
            "calibration_cache_sha256": sha256(options.calibration_cache) if options.calibration_cache else None,
            # The version of seg-edge, because its rewrites (dialect, fp16 base) change the built graph.
            "seg_edge": __version__,
        },
    )
