"""Simplification: constant folding and fusion by onnxsim, kept only if the outputs stay what they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import onnx

from ...calib.graph import Frames, get_spec, run, session, set_spec
from ...core.errors import ModelFileError
from ..checks.compare import compare

Simplifier = Callable[[onnx.ModelProto], onnx.ModelProto]

# Folding reorders float additions; anything beyond rounding means that the graph computes something else.
_TOLERANCE = 1e-4
_AGREEMENT = 0.9999


def simplify(
    model: onnx.ModelProto, frames: Sequence[Frames], simplifier: Simplifier | None = None
) -> tuple[onnx.ModelProto, str]:
    """Simplifies a graph, or gives it back as it was.

    Args:
        model: An exported graph with its spec.
        frames: uint8 (1, H, W, 3) each, to compare both graphs on.
        simplifier: Takes a model and returns another; None is onnxsim.

    Returns:
        The model to go on with, and a note: why the simplified graph was not taken, else empty.
    """
    before = f"{len(model.graph.node)} nodes"
    try:
        candidate = (simplifier or _onnxsim)(model)
        set_spec(candidate, get_spec(model))
        problem = _problem(model, candidate, frames)
    except ImportError as error:
        return model, f"not simplified: {error}; pip install onnxsim"
    except Exception as error:  # a simplifier that fails is no reason to fail: the graph is valid without it
        return model, f"not simplified: the simplifier failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    if problem:
        return model, f"not simplified: {problem}; the unsimplified graph ({before}) is kept"
    return candidate, ""


def _onnxsim(model: onnx.ModelProto) -> onnx.ModelProto:
    simplified, _checked = import_module("onnxsim").simplify(model)
    if not isinstance(simplified, onnx.ModelProto):
        raise TypeError(f"expected a model, got {type(simplified).__name__}")
    return simplified


def _problem(model: onnx.ModelProto, candidate: onnx.ModelProto, frames: Sequence[Frames]) -> str:
    """Why the candidate can't take the model's place; empty if it can."""
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
