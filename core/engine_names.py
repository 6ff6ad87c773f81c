"""Names of the inference engines, for options and their help; :data:`seg_edge.runtime.engines.TABLE` has the same ones."""

from __future__ import annotations

#: The name that means: the fastest engine available.
AUTO = "auto"
#: Engines that open ONNX files.
GRAPH_ENGINES = ("onnxruntime-cuda", "openvino", "onnxruntime")
#: Engines that open engine files, which ``seg-edge build`` makes.
PLAN_ENGINES = ("tensorrt", "rtx")
ENGINES = (*PLAN_ENGINES, *GRAPH_ENGINES)
#: How the address of a server begins that is named instead of an engine: ``http://HOST:PORT/MODEL``.
SERVERS = ("http://", "https://")
