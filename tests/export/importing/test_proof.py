"""Planted faults: wrong mean, channel order, resize and upsampling are each caught and named."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import GateError
from seg_edge.export import ImportOptions, import_network
from seg_edge.export.foreign import preprocessing as resolving
from seg_edge.export.importing import stage
from seg_edge.runtime import Segmenter

OPTIONS = ImportOptions(engine="onnxruntime", threads=1, resize="bilinear", rgb=True)
RIGHT = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        ({"rgb": False}, "the channel order BGR"),
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, "pixels 0 to 1, no mean"),
        ({"rgb": False, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}, "the channel order BGR and pixels -1 to 1"),
    ],
)
def test_a_fault_in_the_artefact(write, tmp_path, frames, monkeypatch, plant, named):
    """The graph is built with another preprocessing than the stated one."""
    build = stage.build_graph

    def planted(network, source, tail, stated, spec):
        return build(network, source, tail, replace(stated, **plant), spec)

    monkeypatch.setattr(stage, "build_graph", planted)
    with pytest.raises(GateError, match=rf"the artefact computes as the original with {named}") as info:
        import_network(write(["resize"]), tmp_path / "out", OPTIONS.with_(frames=frames))
    assert not info.value.report.gates[0].passed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"failed"}


def test_upsampling_that_is_taken_off_wrongly(write, tmp_path, frames, monkeypatch):
    """Align-corners taken for the kernel's rule."""
    find = stage.find_tail

    def careless(model, source, output, where):
        for node in model.graph.node:
            if node.op_type == "Resize":
                for item in node.attribute:
                    if item.s == b"align_corners":
                        item.s = b"half_pixel"
        return find(model, source, output, where)

    monkeypatch.setattr(stage, "find_tail", careless)
    with pytest.raises(GateError, match=r"% of the pixels have the class that the original gives, at least 99.9 % must"):
        import_network(write(["align"]), tmp_path / "out", OPTIONS.with_(frames=frames))


@pytest.fixture
def masks(write, tmp_path, frames):
    """The masks that the other tool makes with the right preprocessing: RGB, ImageNet's mean, bilinear."""
    import_network(write(["resize"]), tmp_path / "right", OPTIONS.with_(**RIGHT))
    folder = tmp_path / "masks"
    folder.mkdir()
    with Segmenter(tmp_path / "right", "onnxruntime", threads=1) as segmenter:
        for file in frames.iterdir():
            cv2.imwrite(str(folder / file.name), segmenter(cv2.imread(str(file))))
    return folder


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        ({"rgb": False}, "with the channel order RGB"),
        ({"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}, "with ImageNet's mean and std"),
        ({"resize": "letterbox"}, "with the resize (bilinear|area)"),
    ],
)
def test_a_wrong_statement_is_caught_by_the_tools_own_masks(write, tmp_path, frames, masks, stated, named):
    options = OPTIONS.with_(**{**RIGHT, "frames": frames, "masks": masks, **stated})
    with pytest.raises(GateError, match=rf"as in `masks`, at least 99 % must .*{named} .* agree: pass that"):
        import_network(tmp_path / "theirs.onnx", tmp_path / "out", options)


def test_the_right_statement_agrees_with_the_tools_masks(tmp_path, frames, masks):
    options = OPTIONS.with_(**RIGHT, frames=frames, masks=masks)
    report = import_network(tmp_path / "theirs.onnx", tmp_path / "out", options)
    assert "100.000 % of the pixels are as in the masks of the other tool" in report.notes


def test_accuracy_of_both_sides_and_a_warning(write, tmp_path, frames, masks):
    for kind, folder in (("images", frames), ("labels", masks)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        folder.rename(tmp_path / "data" / kind / "val")
    right = import_network(tmp_path / "theirs.onnx", tmp_path / "a", OPTIONS.with_(**RIGHT, data=tmp_path / "data"))
    assert right.step.miou == pytest.approx(1, abs=0.01)
    assert right.original_miou == pytest.approx(right.step.miou, abs=0.03)
    assert not any("warning" in note for note in right.notes)
    wrong = import_network(
        tmp_path / "theirs.onnx", tmp_path / "b", OPTIONS.with_(**RIGHT, rgb=False, data=tmp_path / "data")
    )
    assert wrong.step.miou < 0.9
    assert any("with the channel order RGB" in note for note in wrong.notes)


def test_an_engine_that_computes_something_else_may_not_be_used(write, tmp_path, frames, monkeypatch):
    real = stage.compare_engine

    def one_is_wrong(model, engine, version, expected, *rest):
        if engine == "broken":
            expected = replace(expected, masks=[(mask + 1) % 4 for mask in expected.masks])
        return real(model, "onnxruntime", version, expected, *rest)

    monkeypatch.setattr(stage, "compare_engine", one_is_wrong)
    monkeypatch.setattr(stage, "measured_engines", lambda name: ["broken", "onnxruntime"])
    monkeypatch.setattr(stage, "_version", lambda engine: "1")
    report = import_network(write(["resize"]), tmp_path / "out", OPTIONS.with_(frames=frames))
    assert [row.passed for row in report.compared] == [True, False]
    assert "don't use this engine" in report.table()[1][1][5]


def test_masks_of_a_single_class_prove_little(write, tmp_path):
    import onnx
    from onnx import numpy_helper

    path = write(["resize"])
    model = onnx.load(path)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "head.bias")
    bias.CopyFrom(numpy_helper.from_array(np.array([0, 0, 1e3, 0], np.float32), "head.bias"))
    onnx.save(model, path)
    report = import_network(path, tmp_path / "out", OPTIONS)
    assert "every pixel has class 2: compare on frames that show more, with frames or data" in report.notes


def test_guesses_have_reasons(write, tmp_path):
    path = write(["resize"], producer="paddle2onnx")
    report = import_network(path, tmp_path / "out", ImportOptions(engine="onnxruntime", threads=1))
    assert {guess.what for guess in report.guesses} == {"mean / std", "channel order", "resize", "classes"}
    assert report.preprocessing.mean == (0.5, 0.5, 0.5)
    assert all("PaddleSeg" in guess.reason for guess in report.guesses if guess.what != "classes")
    assert resolving.IMAGENET[0] != report.preprocessing.mean


def test_ultralytics_metadata(write, tmp_path):
    about = {"author": "Ultralytics", "task": "semantic", "imgsz": "[32, 48]", "stride": "4"}
    about["names"] = "{0: 'a', 1: 'b', 2: 'c', 3: 'd'}"
    path = write(["resize"], metadata=about, free=True)
    report = import_network(path, tmp_path / "out", ImportOptions(engine="onnxruntime"))
    assert report.spec.labels.names == ("a", "b", "c", "d")
    assert (report.spec.input_hw, report.spec.resize, report.preprocessing.mean) == ((32, 48), "letterbox", (0, 0, 0))


def test_a_graph_that_normalizes_itself_gets_pixels(write, tmp_path):
    report = import_network(write(["resize"], dtype="uint8"), tmp_path / "out", ImportOptions(engine="onnxruntime"))
    assert (report.preprocessing.mean, report.preprocessing.scale) == ((0, 0, 0), 1)
    assert np.allclose(report.spec.std, 1)
