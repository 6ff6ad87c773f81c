"""Models that are shipped with the package, by name, so that ``seg-edge run --source 0`` works without a training."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .artefact import REPORT_JSON, SPEC_FILE, onnx_name

#: One folder per model: an INT8 artefact and ``checkpoint.pt``, the weights that it was exported from.
FOLDER = Path(__file__).parents[1] / "models"
#: Default model of ``run`` and ``predict``: street scenes in CamVid's 11 classes.
DEFAULT = "unet-s-camvid"
CHECKPOINT = "checkpoint.pt"
#: Of all shipped models together.
LIMIT_BYTES = 12_000_000
#: What a shipped model was made of, what it can do and what not.
CARD = "README.md"
_MODELS = {".onnx", ".pt", ".engine", ".plan"}


def shipped(path: str | Path, file: str = "") -> Path:
    """The folder of the shipped model ``path``, or ``file`` in it; ``path`` itself if it is not a shipped model's name.

    A file ``path`` in the working folder, or a folder ``path`` that contains a model, takes precedence.

    >>> shipped("unet-s-camvid", CHECKPOINT).name
    'checkpoint.pt'
    """
    path = Path(path)
    if len(path.parts) != 1 or path.name not in names():
        return path
    if path.is_file() or (path.is_dir() and any(entry.suffix in _MODELS for entry in path.iterdir())):
        return path
    return FOLDER / path / file


def names() -> list[str]:
    """Names of all shipped models."""
    return sorted(file.parent.name for file in FOLDER.glob(f"[!.]*/{CHECKPOINT}"))  # no folder that is being made


def shipped_models() -> list[dict[str, Any]]:
    """What each shipped model's files say about it, as JSON values; the default one first.

    >>> [(row["name"], row["input_hw"]) for row in shipped_models()][0]
    ('unet-s-camvid', [352, 480])

    Returns:
        Dictionaries with name, model, classes, input_hw, miou (of the INT8 file on the val split of its data, 0 to 1; None
        if its report has none), bytes (of that file), and card: the file that describes it.
    """
    rows = []
    for name in sorted(names(), key=lambda name: (name != DEFAULT, name)):
        folder = FOLDER / name
        spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
        steps = json.loads((folder / REPORT_JSON).read_text(encoding="utf-8"))["steps"]
        file = onnx_name("int8")
        rows.append(
            {
                "name": name,
                "model": spec["name"],
                "classes": spec["labels"]["names"],
                "input_hw": spec["input_hw"],
                "miou": next((step["miou"] for step in steps if step["file"] == file), None),
                "bytes": (folder / file).stat().st_size,
                "card": str(folder / CARD),
            }
        )
    return rows


def hint(path: Path) -> str:
    """Suffix for errors about a missing file: the shipped model with a similar name, or an empty text."""
    near = get_close_matches(str(path), names(), 1)
    return f"; or did you mean {near[0]}, which comes with the package?" if near else ""
