"""What a library's error becomes on the command line."""

from __future__ import annotations

import pytest

from seg_edge.cli import derive
from seg_edge.cli.translate import translated


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("`max_drop`: expected 0 to 1", "--max-drop: expected 0 to 1"),
        ("pass `head='logits'` or `bias_correction=False`", "pass --head logits or --no-bias-correction"),
        ("pass `int8=True`; `threads=4` is too many", "pass --int8; --threads 4 is too many"),
        ("`input_hw`: multiples of 32", "--imgsz: multiples of 32"),
        ("run `seg-edge export` or `torch.compile`", "run `seg-edge export` or `torch.compile`"),
        ("a`b", "a`b"),
    ],
)
def test_fields_become_options(text, said):
    assert translated(text) == said


def test_positional_arguments_have_their_own_names():
    assert translated("`model`: no such file", {"model": "MODEL"}) == "MODEL: no such file"


def test_how_a_dataset_is_read(monkeypatch):
    """A training has no such option: what keeps it for all verbs is named."""
    text = "read such labels with `exif='stored'`"
    monkeypatch.setattr(derive, "FLAGS", {})
    assert translated(text) == "read such labels with seg-edge data check DATA --exif stored --save"
    assert translated("`snap=True`") == "seg-edge data check DATA --snap --save"
    monkeypatch.setattr(derive, "FLAGS", {"exif": "--exif"})
    assert translated(text) == "read such labels with --exif stored"
