"""Mutated files: each is refused in a line, or imported with proof. benchmarks/import_robustness.py runs many more."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from seg_edge.core.errors import SegEdgeError
from seg_edge.export import ImportOptions, import_network
from seg_edge.runtime.modelfile.onnxgraph import Graph
from seg_edge.runtime.modelfile.wire import WireError

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "import_robustness.py"


@pytest.fixture(scope="module")
def robustness():
    found = spec_from_file_location("import_robustness", SCRIPT)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(0, 300, 100))
def test_mutations(robustness, tmp_path, first):
    model, options = robustness.base_model(), ImportOptions(engine="onnxruntime", threads=1)
    file, out = tmp_path / "m.onnx", tmp_path / "out"
    file.write_bytes(model)
    import_network(file, out, options)
    texts: list[str] = []
    for seed in range(first, first + 100):
        data = robustness.mutated(model, seed)
        assert len(data) < 2 * len(model)
        file.write_bytes(data)
        with suppress(WireError, UnicodeDecodeError):
            Graph.from_bytes(data).to_bytes()
        try:
            report = import_network(file, out, options)
        except SegEdgeError as error:
            texts.append(str(error))
        else:
            assert report.compared[0].agreement >= 0.999
    assert 20 < len(texts) < 100
    assert not any("\n" in text or len(text) > 2000 for text in texts)
