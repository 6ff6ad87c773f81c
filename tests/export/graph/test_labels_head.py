from __future__ import annotations

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import get_spec, run, session
from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.export.deliver.options import DeliverOptions
from seg_edge.export.graph.batch import run_batched, with_batch
from seg_edge.export.graph.fp16 import to_fp16
from seg_edge.export.graph.labels_head import agreement_of, kernel_masks, with_labels
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, quantize
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.trt import BuildOptions, build_plan
from seg_edge.runtime import Segmenter
from seg_edge.runtime.engines.nvinfer import module_available


@pytest.fixture(scope="module")
def logits(nets):
    return to_onnx(nets.tiny(), nets.SPEC)


def test_the_masks_are_the_kernels(logits, nets):
    frames = nets.frames(4)
    expected = kernel_masks(run_batched(logits, frames, 1), nets.SPEC.input_hw)
    found = run_batched(with_labels(logits), frames, 1)
    assert (found[0].dtype, found[0].shape) == (np.uint8, (1, 64, 96))
    assert agreement_of(expected, found) >= 0.9999
    assert len(np.unique(found[0])) > 1


def test_a_wrong_corner_convention_would_show(logits, nets):
    wrong = with_labels(logits)
    resize = next(node for node in wrong.graph.node if node.name == "labels.upsample")
    next(a for a in resize.attribute if a.name == "coordinate_transformation_mode").s = b"align_corners"
    frames = nets.frames(2)
    assert agreement_of(kernel_masks(run_batched(logits, frames, 1), (64, 96)), run_batched(wrong, frames, 1)) < 0.999


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_every_precision_takes_it(tiny, nets, kind):
    options = QuantOptions()
    model = to_fp16(tiny) if kind == "fp16" else quantize(tiny, calibrate(tiny, nets.frames(2), options), options)
    frames = nets.frames(3, seed=2)
    found = run_batched(with_labels(model), frames, 1)
    # INT8 logits tie wherever two classes share a level.
    least = {"fp16": 0.9999, "int8": 0.995}[kind]
    assert agreement_of(kernel_masks(run_batched(model, frames, 1), (64, 96)), found) >= least


def test_batches(logits, nets):
    frames = nets.frames(3)
    three = with_labels(with_batch(logits, 3))
    assert [d.dim_value for d in three.graph.output[0].type.tensor_type.shape.dim] == [3, 64, 96]
    assert agreement_of(run_batched(with_labels(logits), frames, 1), run_batched(three, frames, 3)) == 1.0


def test_the_runtime_runs_it(logits, nets, tmp_path):
    model = with_labels(logits)
    assert get_spec(model).output == "labels"
    onnx.save(model, tmp_path / "labels.onnx")
    onnx.save(logits, tmp_path / "logits.onnx")
    frame = nets.frames(1)[0][0]
    with (
        Segmenter(tmp_path / "labels.onnx", "onnxruntime") as labels,
        Segmenter(tmp_path / "logits.onnx", "onnxruntime") as other,
    ):
        assert (labels(frame) == other(frame)).mean() >= 0.9999
        assert (labels(frame) == run(session(model), frame[None])[0][0]).all()
        assert (labels.overlay(frame) == other.overlay(frame)).all(-1).mean() >= 0.9999


@pytest.mark.skipif(not module_available("rtx").ok, reason=module_available("rtx").reason)
def test_tensorrt_builds_it(logits):
    assert build_plan(with_labels(logits), BuildOptions(compute_capabilities=("89",))).plan


def test_what_has_labels_already_or_no_such_head(logits):
    with pytest.raises(ModelFileError, match="gives labels already"):
        with_labels(with_labels(logits))
    with pytest.raises(InputError, match="`head`: expected one of logits, labels, got 'mask'"):
        DeliverOptions(head="mask")
