"""The images and the page of a comparison: curves of both runs, best and worst cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.artefact import atomic_path, write_json, write_text
from ...core.errors import InputError
from ...core.labels import colorize
from ...runtime.segmenter import Segmenter
from ...train.torch_engine import TorchEngine
from .sides import Comparison
from .titles import METRICS, TITLES

Image = npt.NDArray[np.uint8]

#: Wrong pixels are red, correct pixels are dimmed.
_WRONG_BGR = (40, 40, 230)
_WIDTH = 240


def write_comparison(comparison: Comparison, out: Path, cases: int, threads: int | None = None) -> list[Path]:
    """Writes ``compare.json``, ``compare.md``, ``curves.png``, ``best.png``, ``worst.png`` into a folder.

    Args:
        comparison: The two runs.
        out: The folder.
        cases: Number of images in ``best.png`` and in ``worst.png``.
        threads: CPU threads of the networks, which run again on these images.

    Returns:
        The files, without ``curves.png`` if neither run has curves.
    """
    report = comparison.to_dict(cases)
    files = []
    if any(run.rows for run in comparison.runs):
        files.append(out / "curves.png")
        draw_curves(comparison, files[-1])
    for name, chosen in zip(("best", "worst"), comparison.extremes(cases), strict=True):
        if chosen:
            files.append(out / f"{name}.png")
            _save(draw_cases(comparison, chosen, threads), files[-1])
    write_json(out / "compare.json", report)
    write_text(out / "compare.md", page(report, [file.name for file in files]))
    return [out / "compare.md", out / "compare.json", *files]


def draw_curves(comparison: Comparison, path: Path) -> None:
    """Accuracy, loss and IoU over the epochs, both runs in one image.

    Raises:
        InputError: matplotlib is missing, or ``path`` can't be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(f"compare: the curves need matplotlib ({error}); pip install 'seg-edge[train]'") from error
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    panels: tuple[tuple[str, str, float, tuple[tuple[str, str], ...]], ...] = (
        ("Pixel accuracy (validation)", "%", 100, (("val_pixel_accuracy", "-"),)),
        ("Loss", "loss", 1, (("train_loss", "--"), ("val_loss", "-"))),
        ("IoU (validation)", "%", 100, (("val_miou", "-"),)),
    )
    for axis, (title, unit, scale, keys) in zip(axes, panels, strict=True):
        for run, colour in zip(comparison.runs, ("#0072B2", "#E69F00"), strict=True):
            epochs = [row["epoch"] for row in run.rows]
            for key, style in keys:
                values = [scale * row.get(key, float("nan")) for row in run.rows]
                label = run.name if len(keys) == 1 else f"{run.name}, {'training' if style == '--' else 'validation'}"
                if epochs:
                    axis.plot(epochs, values, style, color=colour, label=label, marker="." if len(epochs) < 30 else "")
        axis.set(title=title, xlabel="epoch", ylabel=unit)
        axis.grid(alpha=0.3)
        axis.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def draw_cases(comparison: Comparison, chosen: Sequence[int], threads: int | None = None) -> Image:
    """Draws a row for each image, uint8 (H, W, 3) BGR: the image, its labels, and each run's mask and wrong pixels."""
    columns: list[list[Image]] = []
    frames = [comparison.data.read(index) for index in chosen]
    titles = [comparison.data.images[index].name for index in chosen]
    columns.append([_tile(frame, title) for (frame, _), title in zip(frames, titles, strict=True)])
    columns.append([_tile(_painted(mask, comparison), "labels") for _, mask in frames])
    for run in comparison.runs:
        with Segmenter(TorchEngine.from_checkpoint(run.checkpoint, threads)) as segmenter:
            masks = [segmenter(frame).copy() for frame, _ in frames]
        scores = [f"{run.name}: IoU {100 * run.image_iou[index]:.1f} %" for index in chosen]
        columns.append([_tile(_painted(mask, comparison), score) for mask, score in zip(masks, scores, strict=True)])
        wrong = [_wrong(frame, mask, truth, comparison) for (frame, truth), mask in zip(frames, masks, strict=True)]
        columns.append([_tile(image, f"{run.name}: wrong pixels") for image in wrong])
    # Images may have several shapes: all tiles have the same width, and a row is as high as its tiles.
    return np.concatenate([np.concatenate(row, axis=1) for row in zip(*columns, strict=True)])


def _painted(mask: npt.NDArray[np.uint8], comparison: Comparison) -> Image:
    return np.ascontiguousarray(colorize(mask, comparison.data.labels.palette)[..., ::-1])


def _wrong(frame: Image, mask: Image, truth: Image, comparison: Comparison) -> Image:
    wrong = (mask != truth) & (truth < len(comparison.data.labels))
    return np.where(wrong[..., None], np.array(_WRONG_BGR, np.uint8), frame // 3).astype(np.uint8)


def _tile(image: Image, title: str) -> Image:
    height = max(1, round(image.shape[0] * _WIDTH / image.shape[1]))
    small = cv2.resize(
        image, (_WIDTH, height), interpolation=cv2.INTER_AREA if image.shape[1] > _WIDTH else cv2.INTER_NEAREST
    )
    tile = np.full((height + 22, _WIDTH + 4, 3), 255, np.uint8)
    tile[20 : 20 + height, 2 : 2 + _WIDTH] = small
    cv2.putText(tile, title[:38], (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _save(image: Image, path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def page(report: dict[str, Any], images: Sequence[str]) -> str:
    """The comparison as Markdown."""
    a, b = report["runs"]
    lines = [
        f"# {a['name']} and {b['name']} on {report['data']} ({report['split']}, {report['images']} images)",
        "",
        f"| | {a['name']} | {b['name']} | difference |",
        "|---|---|---|---|",
        f"| network | {a['model']} | {b['model']} | |",
        f"| parameters | {a['params'] / 1e6:.2f} M | {b['params'] / 1e6:.2f} M | |",
        f"| epochs | {a['epochs'] or '–'} | {b['epochs'] or '–'} | |",
    ]
    for key in METRICS:
        first, second = (_percent(run["metrics"][key]) for run in (a, b))
        lines.append(f"| {TITLES[key]}, % | {first} | {second} | {_percent(report['difference'][key], '+')} |")
    gap = report["image_iou_difference"]
    if gap["low"] is not None:
        lines += [
            "",
            f"Mean IoU of an image: {b['name']} minus {a['name']} is {_percent(gap['mean'], '+')} points, 95 % interval "
            f"{_percent(gap['low'], '+')} to {_percent(gap['high'], '+')} (paired bootstrap over images; one training each: "
            "another seed may differ by more).",
        ]
    lines += ["", f"| IoU, % | {a['name']} | {b['name']} |", "|---|---|---|"]
    for first, second in zip(a["per_class"], b["per_class"], strict=True):
        lines.append(f"| {first['name']} | {_percent(first['iou'])} | {_percent(second['iou'])} |")
    for name, title in (("best", "Best cases"), ("worst", "Worst cases")):
        if not report[name]:
            continue
        lines += ["", f"## {title}", "", f"| image | {a['name']} | {b['name']} |", "|---|---|---|"]
        lines += [f"| {case['image']} | {_percent(case['iou'][0])} | {_percent(case['iou'][1])} |" for case in report[name]]
        lines += ["", f"![{title}]({name}.png)"] if f"{name}.png" in images else []
    lines += ["", "## Curves", "", "![Curves](curves.png)"] if "curves.png" in images else []
    lines += [f"\nNote: {note}" for note in report["notes"]]
    return "\n".join(lines) + "\n"


def _percent(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{100 * value:{sign}.2f}"
