from __future__ import annotations

import json
from time import perf_counter, sleep

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import run, session, set_weight
from seg_edge.core.artefact import onnx_name
from seg_edge.core.errors import ModelFileError
from seg_edge.export.chain import export_network
from seg_edge.export.checks.replay import replay
from seg_edge.export.graph.batch import for_one_frame, run_batched, with_batch
from seg_edge.export.options import ExportOptions
from seg_edge.runtime import Pipeline, Segmenter, Source, SourceFrame
from seg_edge.runtime.engines import engine_class, open_engine
from seg_edge.runtime.modelfile.dialect import translate


def test_each_frame_of_a_batch_gets_its_own_output(tiny, nets):
    frames = nets.frames(4)
    single = session(tiny)
    expected = [run(single, frame)[0] for frame in frames]
    outputs = run_batched(with_batch(tiny, 3), frames, 3)  # 3 + 1, filled up
    assert len(outputs) == 4
    for a, b in zip(expected, outputs, strict=True):
        assert b == pytest.approx(a, abs=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 0.1


def test_shapes_say_the_batch(tiny):
    model = with_batch(tiny, 3)
    assert [v.type.tensor_type.shape.dim[0].dim_value for v in (*model.graph.input, *model.graph.output)] == [3, 3]


def test_a_network_that_fixes_its_batch_is_refused(tiny):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(tiny)
    set_weight(fixed, "shape", np.array([1, 4, 16, 24], np.int64))
    fixed.graph.node[-1].output[0] = "before"
    fixed.graph.node.append(onnx.helper.make_node("Reshape", ["before", "shape"], ["logits"]))
    with pytest.raises(ModelFileError, match="`batch='3'`: the network .* can't take batches"):
        with_batch(fixed, 3)


def test_a_free_batch_takes_any_number_of_frames(tiny, nets):
    frames = nets.frames(6)
    model = with_batch(tiny, None)
    assert [v.type.tensor_type.shape.dim[0].dim_param for v in (*model.graph.input, *model.graph.output)] == ["N", "N"]
    single = session(tiny)
    outputs = run_batched(model, frames, None)  # 1 + 2 + 3
    assert [output.shape for output in outputs] == [(1, 4, 16, 24)] * 6
    for frame, output in zip(frames, outputs, strict=True):
        assert output == pytest.approx(run(single, frame)[0], abs=1e-4)


def test_a_network_that_fixes_its_batch_is_not_set_free(tiny):
    fixed = onnx.ModelProto()
    fixed.CopyFrom(tiny)
    set_weight(fixed, "shape", np.array([1, 4, 16, 24], np.int64))
    fixed.graph.node[-1].output[0] = "before"
    fixed.graph.node.append(onnx.helper.make_node("Reshape", ["before", "shape"], ["logits"]))
    with pytest.raises(ModelFileError, match="`batch='free'`: the network .* can't take batches"):
        with_batch(fixed, None)


def test_engine_files_hold_one_frame(tiny):
    assert for_one_frame(tiny) is tiny
    made = for_one_frame(with_batch(tiny, None))
    assert [v.type.tensor_type.shape.dim[0].dim_value for v in (*made.graph.input, *made.graph.output)] == [1, 1]


@pytest.fixture(scope="module")
def free(nets, tmp_path_factory):
    """The same network exported at batch 1 and with a free batch axis, all precisions."""
    folder = tmp_path_factory.mktemp("free")
    data = nets.write_dataset(folder / "data", nets.tiny(), train=3, val=3)
    for name, batch in (("one", 1), ("free", None)):
        options = ExportOptions(int8=True, fp16=True, data=data, threads=1, engine="onnxruntime", batch=batch)
        export_network(nets.tiny(), nets.SPEC, folder / name, options)
    return folder


def engine_names():
    return [name for name in ("onnxruntime", "openvino") if engine_class(name).available().ok]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("engine", engine_names())
def test_masks_are_those_of_batch_1_on_every_engine(free, nets, engine, precision):
    frames = np.concatenate(nets.frames(3, seed=9))
    file = onnx_name(precision)
    with open_engine(free / "one" / file, engine, 1) as opened:
        expected = np.concatenate([opened.infer(frame[None]).copy() for frame in frames])
    with open_engine(free / "free" / file, engine, 1) as opened:
        assert opened.batch is None
        together, alone = opened.infer(frames).copy(), opened.infer(frames[1:2]).copy()
        pair = opened.infer(frames[1:]).copy()
    for found, wanted in ((together, expected), (alone, expected[1:2]), (pair, expected[1:])):
        assert np.array_equal(found.argmax(1), wanted.argmax(1))
    assert len(np.unique(expected.argmax(1))) > 1


def test_the_dialect_of_onnx_runtime_knows_a_free_batch(free):
    """The rewrites read shapes from the file: without them they would leave everything as it is, and nobody would see it."""
    kinds = {}
    for name in ("one", "free"):
        model = onnx.load_from_string(translate((free / name / onnx_name("int8")).read_bytes(), "onnxruntime"))
        kinds[name] = [node.op_type for node in model.graph.node]
    assert kinds["free"] == kinds["one"]
    assert "Resize" not in kinds["free"]


def test_an_artefact_with_a_free_batch_verifies(free):
    rows = replay(free / "free", "onnxruntime", 1)
    assert {row.precision for row in rows} == {"fp32", "fp16", "int8"}
    assert all(row.passed for row in rows)
    report = json.loads((free / "free" / "report.json").read_text())
    steps = [step for step in report["steps"] if step["step"] == "free batch"]
    assert [step["file"] for step in steps] == [onnx_name(each) for each in ("fp32", "fp16", "int8")]
    assert all(step["latency_ms"]["onnxruntime"] > 0 for step in steps)


class Waiting(Source):
    """A file of frames of its own grey level; all are there at once."""

    def __init__(self, level):
        super().__init__("frames", fps=25, count=12)
        self.level = level

    def __iter__(self):
        for i in range(self.count):
            yield SourceFrame(np.full((64, 96, 3), self.level, np.uint8), i, f"f{i}", perf_counter())


@pytest.mark.parametrize("name", ["free", "one"])
def test_two_sources_share_inferences(free, name):
    sizes, masks = [], {0: [], 1: []}
    with Segmenter(free / name / onnx_name("int8"), "onnxruntime", threads=1) as segmenter:
        single = {level: segmenter(np.full((64, 96, 3), level, np.uint8)).copy() for level in (40, 200)}
        infer = segmenter.engine._infer

        def counted(frames):
            sizes.append(len(frames))
            sleep(0.005)  # both sources have their next frame ready meanwhile
            return infer(frames)

        segmenter.engine._infer = counted
        Pipeline([Waiting(40), Waiting(200)], segmenter, mask=True).run(
            lambda result: masks[result.origin].append(result.mask.copy())
        )
    assert sum(sizes) == 24
    if name == "one":
        assert len(sizes) == 24
    else:
        assert len(sizes) < 24
        assert max(sizes) == 2
    for origin, level in ((0, 40), (1, 200)):
        assert len(masks[origin]) == 12
        assert all(np.array_equal(mask, single[level]) for mask in masks[origin])
