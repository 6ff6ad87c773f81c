"""``seg-edge build``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import console, writable

if TYPE_CHECKING:
    from ..export.trt import DlaLayer
    from ..export.trt.artefact import Engine


def build(
    model: Annotated[
        Path, typer.Argument(help="An artefact folder of seg-edge export, one of its ONNX files, or a shipped model's name.")
    ],
    engine: Annotated[str, typer.Option(help="rtx (TensorRT-RTX, needs no GPU to build) or tensorrt.")] = "rtx",
    precision: Annotated[
        str | None, typer.Option(help="Which model of the folder: int8, fp16, fp32. Default: the smallest there is.")
    ] = None,
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            help="GPU to build for, e.g. 89; may be given more than once. Default: all (rtx), this GPU (tensorrt)."
        ),
    ] = None,
    workspace: Annotated[int | None, typer.Option(help="Most memory of one layer, MiB.")] = None,
    timing_cache: Annotated[
        Path | None, typer.Option(help="File of measured kernels, read and extended (tensorrt).")
    ] = None,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Runs on later TensorRT versions of the same major version too.")
    ] = False,
    hardware_compatible: Annotated[
        bool, typer.Option("--hardware-compatible", help="Runs on every GPU from Ampere on (tensorrt).")
    ] = False,
    dla_core: Annotated[
        int | None, typer.Option(help="DLA core of a Jetson; what it can't take runs on the GPU (tensorrt to 10.7).")
    ] = None,
    half_base: Annotated[
        bool, typer.Option("--half-base", help="What of an INT8 model is not INT8 computes in fp16.")
    ] = False,
    calibration_cache: Annotated[Path | None, typer.Option(help="INT8 scales for DLA. Default: the artefact's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --dla-core: only list what DLA would take. Needs no TensorRT.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Engine file. Default: a name that says where it runs, beside MODEL (of a shipped one: ./NAME/)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build even if the same engine is there.")] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the engine's record (or the dry run) here.", callback=writable)
    ] = None,
) -> None:
    """Build an engine file for TensorRT or TensorRT-RTX from an exported model."""
    from ..core.artefact import write_json
    from ..core.errors import InputError
    from ..core.shipped import shipped

    try:
        from ..export.trt import BuildOptions
        from ..export.trt.artefact import build_engine, graph_of
    except ImportError as error:
        raise InputError(f"build needs packages that are not installed ({error}); pip install 'seg-edge[build]'") from error
    from .progress import Bars

    if dry_run:
        if dla_core is None:
            raise InputError("--dry-run: lists what DLA would take; pass --dla-core 0 too")
        layers = _dry_run(graph_of(shipped(model), precision, dla=True))
        if json:
            write_json(json, {"model": str(model), "layers": [_row(layer) for layer in layers]})
        return
    options = BuildOptions(
        flavour=engine,
        compute_capabilities=tuple(compute_capability or ()),
        workspace_mib=workspace,
        timing_cache=timing_cache,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
        dla_core=dla_core,
        half_base=half_base,
        calibration_cache=calibration_cache,
    )
    options.check()
    with Bars() as progress:
        built = build_engine(model, options, out, precision, force=force, progress=progress)
    if json:
        write_json(json, {"file": str(built.path), "reused": built.reused, "record": built.record.to_dict()})
    _print(built)


def _print(built: Engine) -> None:
    from rich.table import Table

    record = built.record
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, text in (
        ("engine", f"{built.path} ({built.path.stat().st_size / 1e6:.2f} MB{', reused' if built.reused else ''})"),
        ("built by", record.title + (f", CUDA {record.cuda}" if record.cuda else "") + f", on {record.gpu or 'no GPU'}"),
        ("runs on", "compute capability " + (", ".join(record.compute_capabilities) or "any that it supports")),
        ("from", f"{record.onnx} ({record.precision}), sha256 {record.onnx_sha256[:12]}…"),
    ):
        grid.add_row(name, text)
    if record.dla_core is not None:
        left = record.options.get("gpu_layers", [])
        grid.add_row("left to the GPU", f"{len(left)} layers: {', '.join(left)}" if left else "no layer")
    if in_float := record.options.get("float_layers"):
        grid.add_row("in float", f"{len(in_float)} convolutions: {', '.join(in_float)}")
    console().print(grid, highlight=False, markup=False, soft_wrap=True)


def _dry_run(path: Path) -> list[DlaLayer]:
    from rich.table import Table

    from ..calib.graph import load
    from ..export.trt import dry_run
    from ..export.trt.dla import summary

    layers = dry_run(load(path))
    table = Table(title=f"{path}: what DLA will refuse", title_justify="left")
    for title in ("layer", "operation", "why it runs on the GPU"):
        table.add_column(title)
    for layer in layers:
        if layer.refused:
            table.add_row(layer.name, layer.op, layer.refused)
    out = console()
    out.print(table)
    out.print(summary(layers), highlight=False)
    return layers


def _row(layer: DlaLayer) -> dict[str, str | None]:
    return {"name": layer.name, "op": layer.op, "device": layer.device, "refused": layer.refused or None}
