from __future__ import annotations

import struct

import pytest

from seg_edge.calib.graph import run, session, up_to
from seg_edge.calib.trt_cache import float_tensors, read, tensor_scales, text, write
from seg_edge.core.errors import ModelFileError


@pytest.fixture(scope="module")
def scales(tiny, nets):
    return tensor_scales(tiny, nets.frames(3))


def test_the_format_is_tensorrts():
    assert text({"frames_float": 2.0, "a b: c": 0.0078740157}, "8.6.1") == (
        "TRT-8601-EntropyCalibration2\nframes_float: 40000000\na b: c: 3c010204\n"
    )
    assert text({}, "10.3.0.26").startswith("TRT-100300-")
    assert text({}).startswith("TRT-100300-")


def test_it_is_read_back(tmp_path, scales):
    write(tmp_path / "c", scales)
    assert read(tmp_path / "c") == pytest.approx(scales, rel=1e-6)


def test_tensorrts_own_files_leave_out_leading_zeros(tmp_path):
    (tmp_path / "c").write_text("TRT-7000-EntropyCalibration2\ntiny: 8a\ndata: 3c008912\n")
    assert read(tmp_path / "c") == {
        "tiny": struct.unpack(">f", b"\0\0\0\x8a")[0],
        "data": pytest.approx(0.0078451, rel=1e-4),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a TensorRT calibration cache"),
        ("{}", "not a TensorRT calibration cache"),
        ("TRT-8601-EntropyCalibration2\nx: 40000000\nnonsense\n", "line 3 is not NAME: HEXDIGITS .'nonsense'"),
        ("TRT-8601-EntropyCalibration2\nx: 3g\n", "line 2"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    (tmp_path / "c").write_text(content)
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path / "c")
    with pytest.raises(ModelFileError, match="can't be read"):
        read(tmp_path / "absent")


def test_every_float_tensor_has_the_range_that_it_takes(tiny, nets, scales):
    names = float_tensors(tiny)
    assert set(scales) == set(names)
    assert "frames_float" in names
    opened = session(up_to(tiny, names))
    peaks = dict.fromkeys(names, 0.0)
    for frame in nets.frames(3):
        for name, values in zip(names, run(opened, frame), strict=True):
            peaks[name] = max(peaks[name], float(abs(values).max()))
    for name in names:
        assert 127 * scales[name] >= peaks[name] * (1 - 1e-6)
    assert 127 * scales["frames_float"] == pytest.approx(peaks["frames_float"])
    assert 127 * scales["logits"] == pytest.approx(peaks["logits"])


def test_both_sides_of_a_concat_and_a_resize_share_one(tiny, scales):
    for kind in ("Concat", "Resize"):
        node = next(n for n in tiny.graph.node if n.op_type == kind)
        related = {scales[name] for name in (*node.input, *node.output) if name in scales}
        assert len(related) == 1


def test_names_that_do_not_fit_the_format():
    with pytest.raises(ModelFileError, match="line break"):
        text({"a\nb": 1.0})
