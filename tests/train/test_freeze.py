"""``--freeze``: the encoder of a checkpoint stays as it is, bit for bit."""

from __future__ import annotations

import pytest
import torch

from seg_edge.core.errors import InputError
from seg_edge.train import fit
from seg_edge.train.checkpoint import load_checkpoint


def test_the_encoder_stays_and_the_rest_learns(config, trained, tmp_path):
    start = trained.out / "best.pt"
    fit(*config(tmp_path / "o", epochs=1, init=start, freeze=True))
    before, after = (load_checkpoint(path).model.state_dict() for path in (start, tmp_path / "o" / "last.pt"))
    # Weights, and the means and variances of batch normalization.
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("encoder."))
    assert not torch.equal(before["head.weight"], after["head.weight"])
    assert not torch.equal(before["decoder.0.0.1.running_mean"], after["decoder.0.0.1.running_mean"])
    # A resumed training goes on in the same way, or not at all.
    with pytest.raises(InputError, match="was trained with `freeze=True`, got False; pass the same"):
        fit(*config(tmp_path / "o", epochs=2), resume=True)
    fit(*config(tmp_path / "o", epochs=2, freeze=True), resume=True)
    resumed = load_checkpoint(tmp_path / "o" / "last.pt").model.state_dict()
    assert all(torch.equal(before[key], resumed[key]) for key in before if key.startswith("encoder."))


def test_an_encoder_that_was_never_trained(config, tmp_path):
    with pytest.raises(InputError, match="`freeze` keeps the encoder as it is, which needs a trained one; pass `init`"):
        fit(*config(tmp_path / "o", freeze=True))
    assert not (tmp_path / "o").exists()
