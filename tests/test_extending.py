"""docs/extending.md: its parts are put where the page says, and used as a user would."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def engine(monkeypatch):
    """The page's engine under its name in the table."""
    from seg_edge.runtime.engines import table

    module = types.ModuleType("seg_edge.runtime.engines.reference")
    exec(SNIPPETS[0], module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    rows = eval("{" + SNIPPETS[1] + "}", {"Row": table.Row})
    for name, row in rows.items():
        monkeypatch.setitem(table.TABLE, name, row)
    return module.ReferenceEngine


def test_every_snippet_is_tried_here():
    assert [code.splitlines()[0] for code in SNIPPETS] == [
        "# runtime/engines/reference.py",
        '"reference": Row(".reference", "ReferenceEngine"),',
        "def tversky(pixels: Pixels, alpha: float = 0.3, beta: float = 0.7) -> Tensor:",
        "from seg_edge.runtime import Result, Sink",
    ]


def test_the_engine_computes_what_the_others_do(engine, tiny_model, colour_frame, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), colour_frame(32, 40))
    for name in ("reference", "onnxruntime"):
        words = ["--source", str(tmp_path / "a.png"), "--sink", f"{tmp_path}/{name}/", "--engine", name]
        assert main(["run", str(tiny_model), *words]) == 0
        assert f"engine {name}" in capsys.readouterr().out
    masks = [cv2.imread(str(tmp_path / name / "masks" / "a.png"), -1) for name in ("reference", "onnxruntime")]
    assert np.array_equal(*masks)
    assert len(np.unique(masks[0])) == 3
    assert main(["doctor"]) == 0
    assert re.search(r"reference\s+\d+\.\d+", capsys.readouterr().out)


def test_the_engine_says_what_it_lacks(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    state = engine.available()
    assert not state.ok
    assert "pip install onnx" in state.reason


def test_the_loss_term_is_its_equation(monkeypatch):
    torch = pytest.importorskip("torch")
    from seg_edge.train.losses import options, terms

    exec(SNIPPETS[2], terms.__dict__)
    tversky = terms.__dict__.pop("tversky")
    p = torch.tensor([[[[0.9, 0.2, 0.6, 0.5]], [[0.1, 0.8, 0.4, 0.5]]]], dtype=torch.float64)
    target = torch.tensor([[[0, 1, 1, 255]]])
    found = tversky(terms.Pixels(p.log(), target, torch.ones(2), 255))
    # Class 0: hit 0.9, extra 0.2 + 0.6, missed 0.1. Class 1: hit 0.8 + 0.4, extra 0.1, missed 0.2 + 0.6.
    index = [0.9 / (0.9 + 0.3 * 0.8 + 0.7 * 0.1), 1.2 / (1.2 + 0.3 * 0.1 + 0.7 * 0.8)]
    assert float(found) == pytest.approx(1 - sum(index) / 2)
    logits = torch.randn(1, 2, 1, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: tversky(terms.Pixels(x.log_softmax(1), target, torch.ones(2), 255)), (logits,))
    # In a sum, under its name.
    monkeypatch.setitem(terms.TERMS, "tversky", tversky)
    monkeypatch.setattr(options, "TERM_NAMES", (*options.TERM_NAMES, "tversky"))
    assert options.parse_loss("ce+0.5*tversky") == {"ce": 1.0, "tversky": 0.5}


def test_the_sink_counts(tiny_model, colour_frame, tmp_path):
    from seg_edge.runtime import Pipeline, Segmenter, open_source

    space: dict[str, type] = {}
    exec(SNIPPETS[3], space)
    cv2.imwrite(str(tmp_path / "a.png"), colour_frame(32, 40))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((32, 40, 3), (255, 0, 0), np.uint8))  # class 0 alone
    with Segmenter(tiny_model, "onnxruntime") as segmenter, open_source(tmp_path) as source:
        sink = space["CountingSink"](1)
        Pipeline(source, segmenter, [sink], overlay=False).run()
    assert sink.frames == 1
