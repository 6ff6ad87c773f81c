"""The calibration cache: scales and corrected biases, reused only for exactly the same inputs."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from ..core.artefact import write_json
from .graph import Frames
from .scales import QuantParams

CACHE_FILE = "calib.cache"
FORMAT = 1
#: Version of the method: increased whenever the same inputs give another calibration.
METHOD = 2


@dataclass(frozen=True)
class Calibration:
    """The result of calibration.

    Attributes:
        activations: Scale and zero point of each quantized tensor, by tensor name.
        biases: Corrected biases, float32 (O,), by initializer name; empty without bias correction.
    """

    activations: dict[str, QuantParams]
    biases: dict[str, npt.NDArray[np.float32]]


def cache_key(
    model: onnx.ModelProto,
    frames: Iterable[Frames],
    algorithm: dict[str, Any],
    preprocessing: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that a calibration depends on, in named parts, so that a message can name a mismatch.

    Args:
        model: The float graph. Metadata is left out, because a new provenance doesn't change scales.
        frames: The calibration frames at the network's input size.
        algorithm: Observer and options.
        preprocessing: The conversion of frames to the network's input. Graph and frames already contain its effect; as
            a part of the key, it can be named as the cause of a new calibration.
    """
    from ..core.version import __version__

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    digest = hashlib.sha256()
    count = 0
    for frame in frames:
        digest.update(repr(frame.shape).encode() + frame.tobytes())
        count += 1
    return {
        "preprocessing": preprocessing or {},
        "graph": hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest(),
        "frames": count,
        "calibration set": digest.hexdigest(),
        "algorithm": algorithm,
        "method": METHOD,
        "versions": {
            "seg-edge": __version__,
            "onnxruntime": str(import_module("onnxruntime").__version__),
            "numpy": np.__version__,
            "machine": platform.machine(),
        },
    }


def save(path: str | Path, key: dict[str, Any], calibration: Calibration) -> None:
    """Writes a calibration as JSON."""
    # float32 → Python float → float32 is exact, so a reused calibration gives the same bytes as a new one.
    data = {
        "format": FORMAT,
        "key": key,
        "activations": {name: [p.scale, p.zero_point] for name, p in calibration.activations.items()},
        "biases": {name: bias.tolist() for name, bias in calibration.biases.items()},
    }
    write_json(path, data)


def load(path: str | Path, key: dict[str, Any]) -> tuple[Calibration | None, str]:
    """Reads a calibration if its key equals ``key``.

    Returns:
        The calibration and an empty text; or None and the reason for a new calibration.
    """
    path = Path(path)
    if not path.is_file():
        return None, "no calibration cache yet"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return None, f"the cache has format {data['format']}, this version writes {FORMAT}"
        old = data["key"]
        changed = [part for part in key if old.get(part) != key[part]]
        if changed:
            return None, f"{', '.join(_describe(part, old.get(part), key[part]) for part in changed)} changed"
        activations = {name: QuantParams(float(s), int(z)) for name, (s, z) in data["activations"].items()}
        biases = {name: np.asarray(bias, np.float32) for name, bias in data["biases"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"the cache can't be read ({type(error).__name__}: {error})"
    return Calibration(activations, biases), ""


def _describe(part: str, old: Any, new: Any) -> str:
    # Hashes are not shown, because they don't help a reader. Of several values, only those that differ are shown.
    if isinstance(new, str):
        return part
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        old, new = ({key: each[key] for key in keys if key in each} for each in (old, new))
    return f"{part} ({_short(old)} -> {_short(new)})"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
    return str(value)
