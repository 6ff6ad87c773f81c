"""Engine files are built for real, by TensorRT-RTX on the CPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
import torch

from seg_edge.calib import trt_cache
from seg_edge.calib.graph import weights
from seg_edge.core.artefact import sha256
from seg_edge.core.errors import EngineError, InputError, UnknownNameError
from seg_edge.export.graph.batch import with_batch
from seg_edge.export.graph.fp16 import to_fp16
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, prepare, quantize
from seg_edge.export.graph.simplify import simplify
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.pruning.importance import scorer
from seg_edge.export.pruning.structure import allocate, narrow, units
from seg_edge.export.trt import BuildOptions, build_file, build_plan, plan_name
from seg_edge.export.trt import build as building
from seg_edge.export.trt.backend import open_backend
from seg_edge.export.trt.build import _calibrator, _configure, _network_flags, _timing_cache
from seg_edge.export.trt.dialect import for_tensorrt
from seg_edge.export.trt.options import capability
from seg_edge.runtime.engines.nvinfer import Backend, module_available
from seg_edge.train.models.catalog import build, stride_of
from seg_edge.train.models.zoo import NETWORKS

RTX = module_available("rtx")
needs_rtx = pytest.mark.skipif(not RTX.ok, reason=RTX.reason)
SM89 = BuildOptions(compute_capabilities=("89",))


@pytest.fixture(scope="module")
def zoo(load_module):
    return load_module("export/trt/zoo.py").ZOO


@pytest.fixture(scope="module")
def graph(nets, zoo, tmp_path_factory):
    """A function (network, precision) → graph."""
    made: dict[tuple[str, str], onnx.ModelProto] = {}

    def make(name: str, precision: str) -> onnx.ModelProto:
        if (name, precision) not in made:
            if name == "unet-n":
                net = nets.write_checkpoint(tmp_path_factory.mktemp("c") / "best.pt")
            else:
                net = nets.trained(zoo[name]())
            model = prepare(to_onnx(net, nets.SPEC.with_(name=name)))
            made[name, "fp32"] = model
            made[name, "fp16"] = to_fp16(model)
            if precision == "int8":
                options = QuantOptions()
                made[name, "int8"] = quantize(model, calibrate(model, nets.frames(2), options), options)
        return made[name, precision]

    return make


class Bars:
    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[int, int]]] = {}

    def say(self, text): ...

    def track(self, items, _what):
        return items

    def count(self, what):
        return lambda done, total: self.seen.setdefault(what, []).append((done, total))


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", ["unet-n", "mobile_lraspp", "erf_like", "res_unet"])
def test_networks_of_every_kind_are_built(graph, name, precision):
    built = build_plan(graph(name, precision), SM89)
    assert built.plan[:4] == b"vtrt"
    # Saturating uint8 would be a warning of the parser.
    assert not [line for line in built.warnings if "UINT8" in line]


def pruned(nets, net, spec, ratio, precisions):
    """(precision, graph) of a network that was pruned by a share of its channels."""
    example = torch.zeros(1, 3, *spec.input_hw)
    score = scorer("l2", net)
    narrow(net, example, score, allocate(units(net, example, score), ratio, "uniform", 4))
    frames, options = nets.frames(1), QuantOptions(bias_correction=False)  # its biases are not what is built here
    model = prepare(simplify(to_onnx(nets.trained(net), spec), frames)[0])
    for precision in precisions:
        if precision == "int8":
            yield precision, quantize(model, calibrate(model, frames, options), options)
        else:
            yield precision, to_fp16(model) if precision == "fp16" else model


@needs_rtx
@pytest.mark.parametrize(
    ("name", "precisions", "kind"),
    [
        ("unet-resnet18", ("fp32", "fp16", "int8"), "MaxPool"),
        ("unet-mobilenetv2", ("fp16",), "Clip"),
        ("lraspp-mobilenetv3", ("int8",), "HardSigmoid"),
    ],
)
def test_published_networks_are_built(nets, name, precisions, kind):
    """What their libraries build, pruned to a few channels. MobileNets have many kernels to compile: one has to do."""
    pytest.importorskip(NETWORKS[name].package)
    net = build(name, 4).eval()
    spec = nets.SPEC.with_(name=name, output_stride=stride_of(net))
    for precision, model in pruned(nets, net, spec, 0.95, precisions):
        assert kind in {node.op_type for node in model.graph.node}
        assert ("QuantizeLinear" in {node.op_type for node in model.graph.node}) == (precision == "int8")
        built = build_plan(model, SM89)
        assert built.plan[:4] == b"vtrt", precision
        assert not [line for line in built.warnings if "UINT8" in line], precision


@needs_rtx
def test_a_pruned_network_of_the_family_is_built_in_every_precision(nets):
    config = {"widths": [8, 24, 40, 56, 24], "depths": [1] * 5, "decoder_depths": [1] * 3}
    for precision, model in pruned(
        nets, build("unet-n", 4, config).eval(), nets.SPEC.with_(name="unet-n"), 0.5, ("fp32", "fp16", "int8")
    ):
        if precision == "fp32":
            widths = {weights(model)[node.input[1]].shape[0] for node in model.graph.node if node.op_type == "Conv"}
            assert widths == {4, 12, 20, 28}
        assert build_plan(model, SM89).plan[:4] == b"vtrt", precision


@needs_rtx
def test_progress_comes_from_the_builder(graph):
    bars = Bars()
    build_plan(graph("unet-n", "fp32"), SM89, progress=bars)
    title = next(name for name in bars.seen if name.endswith(": Building engine"))
    assert title.startswith("TensorRT-RTX 1.")
    done = bars.seen[title]
    assert done[0][0] == 0
    assert done[-1][0] == done[-1][1] > 1


@needs_rtx
def test_an_interruption_in_a_callback_stops_the_build(graph):
    class Stop(Bars):
        def count(self, what):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(graph("unet-n", "fp32"), SM89, progress=Stop())


@needs_rtx
def test_several_gpus_in_one_engine(graph):
    one = build_plan(graph("unet-n", "fp32"), SM89)
    two = build_plan(graph("unet-n", "fp32"), BuildOptions(compute_capabilities=("8.9", "sm_120")))
    assert len(two.plan) > len(one.plan)


@needs_rtx
def test_a_workspace_that_is_too_small_says_so(graph):
    with pytest.raises(EngineError, match=r"TensorRT-RTX 1\..* can't build unet-n: .*workspace"):
        build_plan(graph("unet-n", "fp32"), BuildOptions(workspace_mib=1))


@needs_rtx
def test_a_graph_that_tensorrt_cannot_read_names_the_node(graph):
    model = onnx.ModelProto()
    model.CopyFrom(graph("unet-n", "fp32"))
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    node.op_type = "NoSuchOperation"
    with pytest.raises(EngineError, match="can't read the graph unet-n: .*NoSuchOperation"):
        build_plan(model, SM89)


@needs_rtx
def test_a_free_batch_axis_is_built_for_one_frame(tiny_model, graph, monkeypatch):
    assert build_plan(onnx.load(tiny_model), SM89).plan
    read = []
    monkeypatch.setattr(building, "for_tensorrt", lambda model: read.append(model) or for_tensorrt(model))
    assert build_plan(with_batch(graph("unet-n", "int8"), None), SM89).plan
    # No axis of any size is left: what opens the engine knows that it takes one frame.
    assert [value.type.tensor_type.shape.dim[0].dim_value for value in (*read[0].graph.input, *read[0].graph.output)] == [
        1,
        1,
    ]


@needs_rtx
def test_the_file_and_its_record(graph, nets, tmp_path):
    onnx.save(graph("unet-n", "int8"), tmp_path / "model.int8.onnx")
    out = tmp_path / "x.engine"
    made = build_file(tmp_path / "model.int8.onnx", out, SM89)
    assert made.sha256 == sha256(out)
    assert made.onnx_sha256 == sha256(tmp_path / "model.int8.onnx")
    assert (made.flavour, made.compute_capabilities, made.onnx) == ("rtx", ["8.9"], "model.int8.onnx")
    assert made.version == RTX.version
    assert made.cuda is not None
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@needs_rtx
def test_a_failed_build_leaves_no_file(tmp_path, tiny_onnx):
    tiny_onnx(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.node[2].op_type = "NoSuchOperation"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(EngineError):
        build_file(tmp_path / "m.onnx", tmp_path / "x.engine", SM89)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


@needs_rtx
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"timing_cache": Path("t")}, "`timing_cache`: TensorRT-RTX .* can't: it times nothing"),
        ({"version_compatible": True}, "`version_compatible`: .* no lean runtime"),
        ({"hardware_compatible": True}, "`hardware_compatible`: .* give several as `compute_capabilities`"),
        ({"dla_core": 0}, "`dla_core`: .* take `engine='tensorrt'` on a Jetson"),
    ],
)
def test_what_rtx_lacks_is_said_by_name(options, text):
    with pytest.raises(EngineError, match=text):
        open_backend(BuildOptions(**options))


@needs_rtx
def test_an_unknown_gpu_names_the_known(graph):
    with pytest.raises(UnknownNameError, match="compute capability for TensorRT-RTX .*'87': did you mean '89'"):
        build_plan(graph("unet-n", "fp32"), BuildOptions(compute_capabilities=("87",)))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"flavour": "trt"}, UnknownNameError, "unknown engine to build for 'trt'"),
        ({"workspace_mib": 0}, InputError, "`workspace_mib`: expected MiB"),
        ({"dla_core": -1}, InputError, "`dla_core`"),
        ({"calibration_cache": Path("c")}, InputError, "`calibration_cache`: only DLA"),
        (
            {"calibration_cache": Path("no.cache"), "dla_core": 0},
            InputError,
            r"`calibration_cache='no.cache'`: no such",
        ),
        ({"compute_capabilities": ("new",)}, InputError, "`compute_capabilities`: expected one such as 89"),
    ],
)
def test_options_that_make_no_sense(options, error, text):
    with pytest.raises(error, match=text):
        BuildOptions(**options)


def test_compute_capabilities_as_people_write_them():
    assert [capability(text) for text in ("89", "8.9", "sm_89", "SM120", "12.0")] == ["8.9", "8.9", "8.9", "12.0", "12.0"]


def test_names_say_where_an_engine_runs():
    assert plan_name("int8", SM89, "1.7.1.116") == "model.int8.sm89.rtx1.7.1.engine"
    assert plan_name("fp32", BuildOptions(), "1.7.1.116") == "model.fp32.any.rtx1.7.1.engine"
    orin = BuildOptions(flavour="tensorrt", dla_core=1)
    assert plan_name("int8", orin, "10.3.0.30", "8.7") == "model.int8.sm87_dla1.tensorrt10.3.0.engine"


@pytest.mark.parametrize(
    ("version", "kinds", "weak", "flags"),
    [
        # The names are those in the bindings of each version.
        ("8.6.1", {"EXPLICIT_BATCH": 0, "EXPLICIT_PRECISION": 1}, False, 0b1),
        ("10.3.0", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}, False, 0b10),
        ("10.3.0", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}, True, 0),
        ("11.0.0", {"STRONGLY_TYPED": 1}, False, 0b10),
    ],
)
def test_network_flags_of_each_version(version, kinds, weak, flags):
    trt = SimpleNamespace(NetworkDefinitionCreationFlag=SimpleNamespace(**kinds))
    assert _network_flags(Backend("tensorrt", trt, version), weak) == flags


# --- TensorRT 8.6 and 10.3: what the code asks of them, on stand-ins with the names that their bindings have


class Config:
    def __init__(self):
        self.flags, self.pools = [], {}

    def set_flag(self, flag):
        self.flags.append(flag)

    def set_memory_pool_limit(self, pool, size):
        self.pools[pool] = size


def module(**more):
    names = dict(
        BuilderFlag=["FP16", "INT8", "GPU_FALLBACK", "VERSION_COMPATIBLE"], DeviceType=["DLA"],
        MemoryPoolType=["WORKSPACE"], HardwareCompatibilityLevel=["AMPERE_PLUS"], NetworkDefinitionCreationFlag=[],
    ) | more  # fmt: skip
    return SimpleNamespace(
        **{owner: SimpleNamespace(**{name: name for name in inside}) for owner, inside in names.items()},
        IInt8EntropyCalibrator2=type("IInt8EntropyCalibrator2", (), {"__init__": lambda self: None}),
    )


NETWORK = SimpleNamespace(get_input=lambda _i: SimpleNamespace(shape=(1, 64, 96, 3), name="frames"))


def configured(backend, options, precision="fp32", cores=2):
    config = Config()
    _configure(backend, SimpleNamespace(num_DLA_cores=cores), NETWORK, config, options, precision)
    return config


def test_dla_runs_weakly_typed_with_fallback(tmp_path):
    orin = Backend("tensorrt", module(NetworkDefinitionCreationFlag=["STRONGLY_TYPED"]), "10.3.0.30")
    options = BuildOptions(flavour="tensorrt", dla_core=1, workspace_mib=64)
    config = configured(orin, options)
    assert (config.default_device_type, config.DLA_core, config.flags) == ("DLA", 1, ["GPU_FALLBACK", "FP16"])
    assert config.pools == {"WORKSPACE": 64 << 20}
    trt_cache.write(tmp_path / "c", {"x": 0.5}, "8.6.1")
    with_scales = BuildOptions(flavour="tensorrt", dla_core=0, calibration_cache=tmp_path / "c")
    assert configured(orin, with_scales).flags == ["GPU_FALLBACK", "FP16", "INT8"]
    # The scales are handed over under the title of the version that reads them.
    calibrator = _calibrator(orin, tmp_path / "c")
    assert calibrator.read_calibration_cache() == b"TRT-100300-EntropyCalibration2\nx: 3f000000\n"
    assert (calibrator.get_batch_size(), calibrator.get_batch(["frames"])) == (1, None)
    with pytest.raises(EngineError, match=r"`dla_core=1`: this machine has 0 DLA cores; build on the Jetson"):
        configured(orin, options, cores=0)


@pytest.mark.parametrize(
    ("precision", "half_base", "flags"),
    [("fp32", False, []), ("fp16", False, ["FP16"]), ("int8", False, ["INT8"]), ("int8", True, ["FP16", "INT8"])],
)
def test_flags_follow_the_graph_where_networks_are_weakly_typed(precision, half_base, flags):
    old = Backend("tensorrt", module(), "8.6.1")
    new = Backend("tensorrt", module(NetworkDefinitionCreationFlag=["STRONGLY_TYPED"]), "10.3.0")
    options = BuildOptions(flavour="tensorrt", half_base=half_base)
    assert configured(old, options, precision).flags == flags
    assert configured(new, options, precision).flags == []


def test_compatibility_flags():
    options = BuildOptions(flavour="tensorrt", version_compatible=True, hardware_compatible=True)
    config = configured(Backend("tensorrt", module(NetworkDefinitionCreationFlag=["STRONGLY_TYPED"]), "10.3.0"), options)
    assert (config.flags, config.hardware_compatibility_level) == (["VERSION_COMPATIBLE"], "AMPERE_PLUS")


class Timed:
    """A config that takes timing caches of one machine alone, as TensorRT's does with ``ignore_mismatch=False``."""

    def __init__(self):
        self.used = None

    def create_timing_cache(self, content):
        return None if content == b"damaged" else content

    def set_timing_cache(self, cache, ignore_mismatch):
        if cache not in (b"", b"here") or ignore_mismatch:
            return False
        self.used = cache
        return True


@pytest.mark.parametrize(
    ("content", "used", "said"), [(None, b"", 0), (b"here", b"here", 0), (b"elsewhere", b"", 1), (b"damaged", b"", 1)]
)
def test_timing_caches_of_other_machines_are_not_believed(tmp_path, nets, content, used, said):
    path, config, lines = tmp_path / "t.cache", Timed(), nets.Lines()
    if content is not None:
        path.write_bytes(content)
    assert _timing_cache(config, path, lines.say) == config.used == used
    assert [line for line in lines.lines if "of another GPU or version" in line and str(path) in line] == lines.lines
    assert len(lines.lines) == said


def test_tensorrt_builds_for_the_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr("seg_edge.export.trt.build.gpus", lambda: [{"name": "Orin", "compute_capability": "8.7"}])
    backend = Backend("tensorrt", module(NetworkDefinitionCreationFlag=["STRONGLY_TYPED"], IBuilderConfig=[]), "10.3.0")
    configured(backend, BuildOptions(flavour="tensorrt", compute_capabilities=("87",)))
    with pytest.raises(
        EngineError, match=r"`compute_capabilities='8.9'` \(this machine's GPU: 8.7\): .* only TensorRT-RTX builds"
    ):
        configured(backend, BuildOptions(flavour="tensorrt", compute_capabilities=("89",)))


def test_a_base_without_int8_makes_no_sense(graph):
    if not RTX.ok:
        pytest.skip(RTX.reason)
    with pytest.raises(InputError, match="`half_base=True`: only an INT8 graph"):
        build_plan(graph("unet-n", "fp32"), BuildOptions(half_base=True))
