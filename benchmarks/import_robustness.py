"""Mutated model files through the runtime's ONNX reader and through `import`: each an error line or a right result.

    python benchmarks/import_robustness.py --count 100000 [--seed 0] [--json FILE]

Mutations: bytes changed, inserted, removed and repeated, lengths that lie, the file cut off, numbers and texts of the
graph replaced (shapes, attributes, names, operators). Every case runs in a child process with an address-space limit;
a case that takes longer than 2 s, grows by more than the limit, raises anything but an error of seg-edge, or ends its
process is a finding and is printed with its seed. A result without an error has proved itself: the import compares it
with the file's own answers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SECONDS, GROWTH_MB = 2.0, 256


def base_model() -> bytes:
    """A small network with every part that the import reads: external shapes, a tail, metadata."""
    rng = np.random.default_rng(0)
    weights = {
        "backbone.w": rng.standard_normal((4, 3, 3, 3)).astype(np.float32), "b": np.zeros(4, np.float32),
        "decode_head.w": rng.standard_normal((3, 4, 1, 1)).astype(np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "backbone.w", "b"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "decode_head.w"], ["s"]),
        helper.make_node("Resize", ["s", "", "scales"], ["u"], mode="linear"),
        helper.make_node("ArgMax", ["u"], ["labels_out"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("labels_out", TensorProto.INT64, [1, 16, 16])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": "{0: 'a'}", "about": "text"})
    return bytes(model.SerializeToString())


def mutated(model: bytes, seed: int) -> bytes:
    """One mutation of a kind that the seed chooses."""
    rng = np.random.default_rng(seed)
    data = bytearray(model)
    if seed % 2:
        return _edited(model, rng)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        at = int(rng.integers(len(data)))
        kind = int(rng.integers(6))
        if kind == 0:
            data[at] = int(rng.integers(256))
        elif kind == 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            data[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 9)), np.uint8))
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 64))]
        else:
            data = data[: max(1, at)]
    return bytes(data)


_NUMBERS = (0, 1, -1, 2, 3, 7, 255, 256, 65536, 2**31 - 1, 2**31, 2**40, -(2**31), 2**62)


def _edited(model: bytes, rng: np.random.Generator) -> bytes:
    """A change of one number, text or tensor of the graph; the file stays well formed."""
    proto = onnx.load_from_string(model)
    graph = proto.graph
    number = int(rng.choice(_NUMBERS))
    kind = int(rng.integers(9))
    node = graph.node[int(rng.integers(len(graph.node)))]
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    if kind == 0:
        value = (list(graph.input) + list(graph.output))[int(rng.integers(2))]
        value.type.tensor_type.shape.dim[int(rng.integers(len(value.type.tensor_type.shape.dim)))].dim_value = number
    elif kind == 1:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = number
    elif kind == 2 and node.attribute:
        item = node.attribute[int(rng.integers(len(node.attribute)))]
        item.i = number
        if item.ints:
            item.ints[int(rng.integers(len(item.ints)))] = number
    elif kind == 3:
        node.op_type = str(rng.choice(["Loop", "If", "Expand", "Tile", "ConstantOfShape", "Pad", "Range", "Identity", "X"]))
    elif kind == 4:
        names = [each for other in graph.node for each in (*other.input, *other.output)]
        node.input[0] = str(rng.choice(names))
    elif kind == 5:
        tensor.data_type = int(rng.integers(0, 25))
    elif kind == 6:
        values = np.float32(rng.choice([np.nan, np.inf, 1e38, -1e38, 1e9, 0, 4096]))
        array = numpy_helper.to_array(tensor).copy()
        array.reshape(-1)[int(rng.integers(array.size))] = values
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    elif kind == 7:
        proto.opset_import[0].version = int(rng.integers(0, 40))
    else:
        del graph.node[int(rng.integers(len(graph.node)))]
    return bytes(proto.SerializeToString())


def _work(seeds: list[int], pipe: Any) -> None:
    """Runs cases; sends (seed, "start"), then (seed, result, seconds)."""
    from seg_edge.core.errors import SegEdgeError
    from seg_edge.export import ImportOptions, import_network
    from seg_edge.runtime.modelfile.modelfile import read_metadata
    from seg_edge.runtime.modelfile.onnxgraph import Graph
    from seg_edge.runtime.modelfile.wire import WireError

    model, options = base_model(), ImportOptions(engine="onnxruntime", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "m.onnx", Path(folder) / "out"
        file.write_bytes(model)
        import_network(file, out, options)  # loads every library
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (GROWTH_MB << 20),) * 2)
        for seed in seeds:
            data = mutated(model, seed)
            file.write_bytes(data)
            pipe.send((seed, "start", 0.0))
            begin = time.perf_counter()
            try:
                read_metadata(file)
            except SegEdgeError:
                pass
            try:
                Graph.from_bytes(data).to_bytes()
            except (WireError, UnicodeDecodeError):
                pass
            try:
                import_network(file, out, options)
                result = "imported"
            except SegEdgeError as error:
                result = (
                    "refused" if "\n" not in str(error) and len(str(error)) < 2000 else f"long error: {str(error)[:200]}"
                )
            except BaseException as error:
                result = f"{type(error).__name__}: {str(error)[:200]}"
            pipe.send((seed, result, time.perf_counter() - begin))


def run(count: int, first: int) -> dict[str, Any]:
    """Runs ``count`` cases from seed ``first``; a process that ends is replaced."""
    results: Counter[str] = Counter()
    findings: list[dict[str, Any]] = []
    todo, longest = list(range(first, first + count)), 0.0
    while todo:
        mine, theirs = mp.Pipe(duplex=False)
        process = mp.get_context("spawn").Process(target=_work, args=(todo, theirs))
        process.start()
        theirs.close()
        current, limit = None, 120.0
        while True:
            try:
                if not mine.poll(limit):
                    raise TimeoutError
                seed, result, seconds = mine.recv()
            except (EOFError, TimeoutError) as error:
                if isinstance(error, TimeoutError):
                    process.kill()
                process.join()
                if current is None and todo:
                    raise RuntimeError(f"the worker ended between cases, before seed {todo[0]}") from error
                if current is not None:
                    how = (
                        "takes longer than 10 s"
                        if isinstance(error, TimeoutError)
                        else f"ended its process ({process.exitcode})"
                    )
                    findings.append({"seed": current, "what": how})
                    results["finding"] += 1
                    todo = todo[todo.index(current) + 1 :]
                break
            if result == "start":
                current, limit = seed, 10.0
                continue
            longest = max(longest, seconds)
            if result not in ("imported", "refused") or seconds > SECONDS:
                findings.append({"seed": seed, "what": result if seconds <= SECONDS else f"{result}, {seconds:.1f} s"})
                results["finding"] += 1
            else:
                results[result] += 1
            todo = todo[1:]
            current = None
    for found in findings[:40]:
        print(found)
    return {"cases": count, "first_seed": first, "longest_s": round(longest, 3), **results, "findings": findings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result = run(given.count, given.seed)
    print({key: value for key, value in result.items() if key != "findings"}, len(result["findings"]), "findings")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
