"""Names the places of a graph at which an engine computes something else than ONNX says."""

from .patterns import PATTERNS, Finding, check_graph, warnings

__all__ = ["PATTERNS", "Finding", "check_graph", "warnings"]
