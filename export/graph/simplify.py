"""Simplification: constant folding and fusion by onnxsim, kept only if the outputs stay the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import onnx

from ...calib.graph import Frames, get_spec, run, session, set_spec
from ...core.errors import ModelFileError
from ..checks.compare import compare

Simplifier = Callable[[onnx.ModelProto], onnx.ModelProto]

# Folding reorders float additions. A difference beyond rounding means that the graph computes something else.
_TOLERANCE = 1e-4
_AGREEMENT = 0.9999


def simplify(
    model: onnx.ModelProto, frames: Sequence[Frames], simplifier: Simplifier | None = None
) -> tuple[onnx.ModelProto, str]:
    """Simplifies a graph; returns the original graph if that fails or changes the outputs.

    Args:
        model: An exported graph with its spec.
        frames: Frames that both graphs are compared on, uint8 (1, H, W, 3) each.
        simplifier: A function from a model to its simplified copy; None is onnxsim.

    Returns:
        The simplified or the original model, and a note with the reason for keeping the original, else empty.
    """
    before = f"{len(model.graph.node)} nodes"
    try:
        candidate = (simplifier or _onnxsim)(model)
        # onnxsim notes its own options and the names of removed nodes there, which are nobody's business at run time.
        del candidate.metadata_props[:]
        candidate.metadata_props.extend(model.metadata_props)
        set_spec(candidate, get_spec(model))
        problem = "" if same_graph(model, candidate) else _problem(model, candidate, frames)
    except ImportError as error:
        return model, f"not simplified: {error}; pip install onnxsim"
    except Exception as error:  # a failure of the simplifier must not end the export: the original graph is valid
        return model, f"not simplified: the simplifier failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    if problem:
        return model, f"not simplified: {problem}; the unsimplified graph ({before}) is kept"
    return candidate, ""


def same_graph(a: onnx.ModelProto, b: onnx.ModelProto) -> bool:
    """Whether two models have the same opsets, nodes, constants, inputs and outputs, in the same order."""
    if a is b:
        return True
    parts = ("node", "initializer", "input", "output")
    return list(a.opset_import) == list(b.opset_import) and all(
        list(getattr(a.graph, part)) == list(getattr(b.graph, part)) for part in parts
    )


def _onnxsim(model: onnx.ModelProto) -> onnx.ModelProto:
    simplified, _checked = import_module("onnxsim").simplify(model)
    if not isinstance(simplified, onnx.ModelProto):
        raise TypeError(f"expected a model, got {type(simplified).__name__}")
    return simplified


def _problem(model: onnx.ModelProto, candidate: onnx.ModelProto, frames: Sequence[Frames]) -> str:
    """Why the candidate can't replace the model; empty if it can."""
    if _signature(candidate) != _signature(model):
        return "the simplifier changed inputs, outputs or opset"
    foreign = {node.domain for node in candidate.graph.node} - {"", "ai.onnx"}
    if foreign:
        return f"the simplifier used operators of {', '.join(sorted(foreign))}, which other engines don't know"
    try:
        a, b = session(model), session(candidate)
    except ModelFileError as error:
        return f"the simplified graph doesn't load ({error})"
    difference = compare([run(a, frame)[0] for frame in frames], [run(b, frame)[0] for frame in frames])
    if not difference.within(_TOLERANCE) or difference.agreement < _AGREEMENT:
        return (
            f"the simplifier changed the outputs (logits by up to {difference.max_abs_error:.3g}, "
            f"{100 * (1 - difference.agreement):.3g} % of the pixels)"
        )
    return ""


def _signature(model: onnx.ModelProto) -> list[object]:
    values = [(v.name, v.type.SerializeToString(deterministic=True)) for v in [*model.graph.input, *model.graph.output]]
    return [values, [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]]
