"""PNG files of masks."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest

from seg_edge.core.labels import default_palette
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.encodings import png
from seg_edge.datasets.encodings.png import encode_png, with_palette


@pytest.mark.parametrize("packer", ["isal", "zlib"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 50)])
def test_every_packer_keeps_every_number(monkeypatch, packer, shape):
    if packer == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setattr(png, "isal_zlib", None)
    mask = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert (cv2.imdecode(np.frombuffer(encode_png(mask), np.uint8), cv2.IMREAD_UNCHANGED) == mask).all()
    part = np.repeat(np.repeat(mask, 7, axis=0), 3, axis=1)[::2, ::2]  # runs; rows and columns that lie apart
    assert (cv2.imdecode(np.frombuffer(encode_png(part), np.uint8), cv2.IMREAD_UNCHANGED) == part).all()


def test_class_numbers_and_indices(tmp_path):
    mask = np.random.default_rng(0).integers(0, 9, (37, 50), np.uint8)
    mask[0, 0] = 255
    plain = encode_png(mask)
    assert (cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED) == mask).all()
    palette = np.array(default_palette(9), np.uint8)
    (tmp_path / "m.png").write_bytes(with_palette(plain, palette))
    assert (read_mask(tmp_path / "m.png") == mask).all()
    shown = cv2.imread(str(tmp_path / "m.png"))
    assert (shown[mask < 9][:, ::-1] == palette[mask[mask < 9]]).all()
    assert (shown[0, 0] == 0).all()


def test_another_reader_agrees():
    image = pytest.importorskip("PIL.Image")
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    opened = image.open(io.BytesIO(with_palette(encode_png(mask), np.full((12, 3), 9, np.uint8))))
    assert opened.mode == "P"
    assert (np.asarray(opened) == mask).all()
