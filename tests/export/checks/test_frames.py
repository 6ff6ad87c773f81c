from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets.opening import open_dataset
from seg_edge.export.checks.frames import evenly_spaced, generated_frames, network_inputs, open_data
from seg_edge.runtime.frame import kernels


def test_indices_are_spread_over_the_whole_split():
    assert evenly_spaced(10, 4) == [0, 2, 5, 7]
    assert evenly_spaced(3, 64) == [0, 1, 2]
    assert len(set(evenly_spaced(367, 64))) == 64


def test_inputs_are_made_by_the_runtimes_resize(nets, tmp_path):
    dataset = open_dataset(nets.write_dataset(tmp_path, nets.tiny()), "val")
    spec = nets.SPEC.with_(input_hw=(32, 64), resize="bilinear")
    made = network_inputs(dataset, spec, 2)
    expected = kernels.resize(dataset.read(2)[0], (32, 64), "bilinear")
    assert [frame.shape for frame in made] == [(1, 32, 64, 3)] * 2
    assert np.array_equal(made[1][0], expected)


def test_without_data_frames_are_generated_and_differ():
    made = generated_frames((64, 96))
    assert {frame.shape for frame in made} == {(64, 96, 3)}
    assert {frame.dtype for frame in made} == {np.dtype(np.uint8)}
    assert len({frame.tobytes() for frame in made}) == len(made)


def test_data_gives_splits_and_original_frames(nets, tmp_path):
    nets.write_dataset(tmp_path, nets.tiny())
    found = open_data(tmp_path, nets.SPEC.with_(input_hw=(32, 32)), calibrate=True)
    assert (len(found.train), len(found.val), len(found.parity)) == (6, 4, 4)
    assert [frame.shape for frame in found.golden] == [(64, 96, 3)] * 3
    assert open_data(tmp_path, nets.SPEC, calibrate=False).train is None


def test_a_missing_train_split_matters_only_for_calibration(nets, tmp_path):
    import shutil

    nets.write_dataset(tmp_path, nets.tiny())
    shutil.rmtree(tmp_path / "images" / "train")
    assert open_data(tmp_path, nets.SPEC, calibrate=False).val is not None
    with pytest.raises(DataError, match="no folder images/train"):
        open_data(tmp_path, nets.SPEC, calibrate=True)
