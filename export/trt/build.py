"""ONNX to an engine file, by TensorRT 8.6 to 11 or TensorRT-RTX, in one code path.

The graph defines the precision: networks are strongly typed wherever the version supports it. TensorRT 8.6 does not;
there,
builder flags allow the precision of the graph. Q/DQ graphs are first rewritten into TensorRT's dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from ...calib.graph import get_spec, load
from ...calib.trt_cache import read as read_cache
from ...calib.trt_cache import text as cache_text
from ...core.artefact import atomic_path, sha256
from ...core.errors import EngineError, InputError, UnknownNameError
from ...core.progress import Progress, Silent
from ...runtime.engines.nvinfer import Backend
from ...runtime.engines.trt_log import Log, listen
from ...runtime.machine.gpu import gpus
from ...runtime.modelfile.plan import PlanRecord
from ..graph.batch import for_one_frame
from ..graph.fp16 import to_fp16
from .backend import open_backend
from .dialect import for_tensorrt
from .options import BuildOptions, capability
from .progress import Phases, monitor
from .record import record
from .typed import float_layers, planned_in_float


@dataclass(frozen=True)
class Built:
    """A plan in memory.

    Attributes:
        plan: The content of the engine file.
        warnings: TensorRT's warnings, each once.
        on_gpu: With DLA: the layers that TensorRT runs on the GPU.
        in_float: The convolutions of an INT8 graph that are in float in TensorRT's network, or that TensorRT-RTX plans so.
    """

    plan: bytes
    warnings: list[str]
    on_gpu: list[str]
    in_float: list[str] = field(default_factory=list)


def build_file(
    model_path: str | Path, out: str | Path, options: BuildOptions, progress: Progress | None = None
) -> PlanRecord:
    """Builds an engine file.

    Args:
        model_path: An ONNX file that seg-edge exported.
        out: The engine file, written atomically.

    Returns:
        The record for ``model.json``.

    Raises:
        ModelFileError: not an exported model, or a graph that TensorRT can't build.
        EngineError: TensorRT is missing, lacks a feature, or failed; the text holds TensorRT's first error.
    """
    backend = open_backend(options)
    model_path = Path(model_path)
    model = load(model_path)
    spec = get_spec(model, model_path)
    here = gpus()
    built = build_plan(model, options, backend, progress)
    for warning in built.warnings:
        (progress or Silent()).say(f"{backend.title} warns: {warning[:300]}")
    if built.in_float:
        (progress or Silent()).say(f"engine: {len(built.in_float)} convolutions in float: {', '.join(built.in_float)}")
    with atomic_path(out) as temporary:
        temporary.write_bytes(built.plan)
    made = record(model_path, spec.precision, sha256(out), options, backend, here)
    if options.dla_core is None:
        return replace(made, options={**made.options, "float_layers": built.in_float})
    return replace(made, options={**made.options, "gpu_layers": built.on_gpu})


def build_plan(
    model: onnx.ModelProto, options: BuildOptions, backend: Backend | None = None, progress: Progress | None = None
) -> Built:
    """Builds a plan in memory.

    Args:
        model: fp32, fp16 (cast graph) or int8 (Q/DQ) with a uint8 input ``frames``. Not changed.
        backend: The module of TensorRT; None loads it.

    Raises:
        ModelFileError, EngineError: see :func:`build_file`.
    """
    backend = backend or open_backend(options)
    trt, log = backend.trt, Log()
    heard = listen(trt, log)
    builder = _made(trt.Builder(heard), backend, log)
    flags = _network_flags(backend, weak=options.dla_core is not None)
    network = _made(builder.create_network(flags), backend, log)
    parser = trt.OnnxParser(network, heard)
    model = for_one_frame(model)
    ours = for_tensorrt(model)
    if options.half_base and _precision(ours) != "int8":
        raise InputError("`half_base=True`: only an INT8 graph has a base to choose; build model.fp16.onnx instead")
    if options.half_base and not backend.lacks("strongly typed"):  # without strong types, a builder flag allows fp16
        ours = to_fp16(ours)
    if not parser.parse(ours.SerializeToString()):
        text = "; ".join(_parser_error(ours, parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineError(f"{backend.title} can't read the graph {model.graph.name}: {_line(text)}; report this")
    config = builder.create_builder_config()
    _configure(backend, builder, network, config, options, _precision(model))
    phases = Phases(progress or Silent(), backend.title)
    if not backend.lacks("progress"):
        watcher = monitor(backend, phases)  # a reference, because the config does not own the monitor
        config.progress_monitor = watcher
    calibrator = _calibrator(backend, options.calibration_cache)
    if calibrator is not None:
        config.int8_calibrator = calibrator
    in_float = float_layers(network) if _precision(model) == "int8" else []
    if backend.flavour == "rtx" and _precision(model) == "int8":
        in_float = planned_in_float(ours, in_float)
    on_gpu = []
    if options.dla_core is not None:
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        on_gpu = [layer.name for layer in layers if not config.can_run_on_DLA(layer)]
    cache = _timing_cache(config, options.timing_cache, (progress or Silent()).say)
    plan = builder.build_serialized_network(network, config)
    phases.reraise()
    if plan is None:
        raise EngineError(
            f"{backend.title} can't build {model.graph.name}: {_line('; '.join(log.errors) or 'no reason given')}"
        )
    if cache is not None and options.timing_cache is not None:
        with atomic_path(options.timing_cache) as temporary:
            temporary.write_bytes(bytes(config.get_timing_cache().serialize()))
    return Built(bytes(plan), list(dict.fromkeys(log.warnings)), on_gpu, in_float)


def _network_flags(backend: Backend, weak: bool) -> int:
    """Strongly typed where the version supports it; DLA needs weakly typed networks with precision flags."""
    kinds = backend.trt.NetworkDefinitionCreationFlag
    flags = 0
    if not weak and not backend.lacks("strongly typed"):
        flags |= 1 << int(kinds.STRONGLY_TYPED)
    if backend.flavour == "tensorrt" and backend.numbers < (10,):
        flags |= 1 << int(kinds.EXPLICIT_BATCH)
    return flags


def _configure(backend: Backend, builder: Any, network: Any, config: Any, options: BuildOptions, precision: str) -> None:
    trt = backend.trt
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.compute_capabilities:
        _set_capabilities(backend, config, options)
    weak = options.dla_core is not None
    if weak:
        if options.dla_core >= builder.num_DLA_cores:
            raise EngineError(
                f"`dla_core={options.dla_core}`: this machine has {builder.num_DLA_cores} DLA cores; "
                "build on the Jetson, or see what DLA would take with `dry_run=True`"
            )
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = options.dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
        config.set_flag(trt.BuilderFlag.FP16)
        if options.calibration_cache is not None:
            config.set_flag(trt.BuilderFlag.INT8)
    elif backend.lacks("strongly typed"):
        # TensorRT 8.6: flags allow the precision of the graph.
        if precision == "fp16" or options.half_base:
            config.set_flag(trt.BuilderFlag.FP16)
        if precision == "int8":
            config.set_flag(trt.BuilderFlag.INT8)


def _set_capabilities(backend: Backend, config: Any, options: BuildOptions) -> None:
    wanted = [capability(text) for text in options.compute_capabilities]
    if backend.flavour == "tensorrt":
        here = [row["compute_capability"] for row in gpus()]
        if here[:1] == wanted:
            return
        backend.require(
            "other gpu", f"`compute_capabilities='{' '.join(wanted)}'` (this machine's GPU: {here[0] if here else 'none'})"
        )
    known = {name: value for name, value in backend.trt.ComputeCapability.__members__.items() if name.startswith("SM")}
    config.num_compute_capabilities = len(wanted)
    for i, text in enumerate(wanted):
        name = "SM" + text.replace(".", "")
        if name not in known:
            raise UnknownNameError(f"compute capability for {backend.title}", name[2:], [key[2:] for key in known])
        config.set_compute_capability(known[name], i)


def _calibrator(backend: Backend, cache: Path | None) -> Any:
    """An IInt8EntropyCalibrator2 without data: returns the scales of a cache, with the title of the running version."""
    if cache is None:
        return None
    trt = backend.trt
    content = cache_text(read_cache(cache), backend.version).encode()

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, _names: list[str]) -> None:
            return None

        def read_calibration_cache(self) -> bytes:
            return content

        def write_calibration_cache(self, _cache: Any) -> None: ...

    return Calibrator()


def _timing_cache(config: Any, path: Path | None, say: Callable[[str], None]) -> Any:
    """Sets the timing cache of a file in the config; a new cache if the file is missing or TensorRT rejects it."""
    if path is None:
        return None
    content = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(content)
    # Times of another GPU or version are invalid here, so mismatches are not ignored.
    if content and (cache is None or not config.set_timing_cache(cache, False)):
        say(f"timing cache: {path} is of another GPU or version of TensorRT, or damaged: measuring anew")
        content, cache = b"", config.create_timing_cache(b"")
    if not content:
        config.set_timing_cache(cache, False)
    return cache


def _precision(model: onnx.ModelProto) -> str:
    kinds = {node.op_type for node in model.graph.node}
    if "QuantizeLinear" in kinds:
        return "int8"
    half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    return "fp16" if half else "fp32"


def _made(thing: Any, backend: Backend, log: Log) -> Any:
    if thing is None:  # not truth: an empty network is false
        raise EngineError(f"{backend.title} can't start here: {_line('; '.join(log.errors) or 'no reason given')}")
    return thing


def _parser_error(model: onnx.ModelProto, error: Any) -> str:
    number = int(error.node())
    node = model.graph.node[number] if 0 <= number < len(model.graph.node) else None
    return f"{node.op_type} {node.name or number}: {error.desc()}" if node else str(error.desc())


def _line(text: str) -> str:
    return " ".join(text.split())[:400]
