"""Peers: ONNX networks of other tools, rewritten as model files of seg-edge for a benchmark.

The peer's graph gets the same preprocessing as our own export: frames are uint8 N×H×W×3 BGR; normalization and layout
change run inside the engine. So the measured work is the same for both, and so is the post-processing of the runtime.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from ...calib.graph import set_spec
from ...core.artefact import atomic_path, sha256
from ...core.labels import Labels
from ...core.spec import ModelSpec
from ...runtime.engines.table import GRAPH_ENGINES
from ..foreign.building import build_graph
from ..foreign.facts import macs, parameters, precision_of
from ..foreign.interface import choose_output, fix_input, read_input, read_outputs
from ..foreign.preprocessing import IMAGENET, ONE, ZERO, Preprocessing
from ..foreign.source import read_network, tidy
from ..foreign.tail import whole_network
from ..guard import warnings as graph_warnings
from .cache_folder import cache_folder

#: Classes of a file with class numbers, which doesn't say how many there are.
_UNKNOWN = 255


def wrap_peer(path: str | Path, input_hw: tuple[int, int], cache: str | Path | None = None) -> Path:
    """Writes a peer's network into the cache folder, as a file that the runtime can open.

    Args:
        path: An ONNX file with one input, N×3×H×W or N×H×W×3. A uint8 input is taken as BGR, a float input as RGB with
            ImageNet's normalization. Of the suitable outputs, scores N×C×h×w or N×h×w×C or class numbers N×H×W, the one
            that most nodes compute is used.
        input_hw: Height and width where the file leaves them free.
        cache: The cache folder; None is :func:`seg_edge.export.networks.cache_folder.cache_folder`.

    Raises:
        ModelFileError: missing, not ONNX, or with unsuitable inputs or outputs, which the text names.
    """
    path = Path(path)
    network = read_network(path)
    model = tidy(network)
    source = read_input(model, f"{path}", input_hw, fixed_wins=True)
    fix_input(model, source)
    output, reason = choose_output(read_outputs(model, source, f"{path}"), None, None, f"{path}")
    tail = whole_network(output)
    size, count = macs(model), parameters(model)
    how = "BGR as it comes" if source.dtype == "uint8" else "ImageNet's normalization of RGB assumed"
    classes = {None: _UNKNOWN, 1: 2}.get(output.classes, output.classes)
    assert classes is not None
    spec = ModelSpec(
        name=path.stem,
        labels=Labels.numbered(classes),
        input_hw=source.size_hw,
        output="labels" if tail.is_labels else "logits",
        output_stride=tail.stride,
        precision=precision_of(model),
        provenance={
            "note": f"peer {path.name}: {source.dtype} {source.layout} input, {how}, put into its graph, as in ours"
            + (f"; its output {output.name}: {reason}" if reason else ""),
            "params": count,
            **({"macs": size} if size is not None else {}),
        },
    )
    mean, std, scale = (ZERO, ONE, 1.0) if source.dtype == "uint8" else IMAGENET
    preprocessing = Preprocessing(source.dtype != "uint8", mean, std, scale, spec.resize)
    wrapped = build_graph(model, source, tail, preprocessing, spec)
    differing = graph_warnings(wrapped, GRAPH_ENGINES)
    if differing:
        spec = spec.with_(provenance={**spec.provenance, "note": "; ".join([str(spec.provenance["note"]), *differing])})
    set_spec(wrapped, spec)
    folder = Path(cache) if cache is not None else cache_folder()
    result = folder / f"peer-{path.stem}-{spec.input_hw[0]}x{spec.input_hw[1]}-{sha256(path)[:8]}.onnx"
    with atomic_path(result) as temporary:
        onnx.save(wrapped, str(temporary))
    return result
