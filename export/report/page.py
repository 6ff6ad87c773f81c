"""The report of an export as Markdown; accuracy in %."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...core.spec import ModelSpec
from ..checks.ledger import EngineRow
from ..int8.fallback import Trial
from ..int8.sensitivity import PLOT_FILE, LayerCost
from .rows import Gate, StepRow


def percent(value: float | None, digits: int = 2) -> str:
    """``0.6425`` → ``"64.25"``; None (not measured) is a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def worst_class_text(worst: dict[str, Any] | None) -> str:
    """``{"name": "pole", "delta": -0.012}`` → ``"pole -1.20"``."""
    return "–" if worst is None else f"{worst['name']} {100 * worst['delta']:+.2f}"


def milliseconds(latency_ms: dict[str, float]) -> str:
    """``{"openvino": 4.2}`` → ``"openvino 4.20"``."""
    return ", ".join(f"{name} {value:.2f}" for name, value in latency_ms.items()) or "–"


#: Title and cell of each column of the step table.
COLUMNS: tuple[tuple[str, Callable[[StepRow], str]], ...] = (
    ("step", lambda row: row.step),
    ("file", lambda row: row.file or "–"),
    ("precision", lambda row: row.precision),
    ("MB", lambda row: f"{row.bytes / 1e6:.2f}"),
    ("agreement %", lambda row: percent(row.agreement, 3)),
    ("mIoU %", lambda row: percent(row.miou)),
    ("worst class", lambda row: worst_class_text(row.worst_class)),
    ("logit error", lambda row: "–" if row.max_abs_error is None else f"{row.max_abs_error:.2g}"),
    ("since torch %", lambda row: percent(row.against_torch["agreement"] if row.against_torch else None, 3)),
    ("ms", lambda row: milliseconds(row.latency_ms)),
)


#: What the columns say: title, text.
GLOSSARY = (
    ("agreement %", "pixels to which the row above gives the same class; 100 changes no mask"),
    (
        "mIoU %",
        "mean over the classes of intersection over union with the true masks of the val split; it rests on the images that "
        "the notes count",
    ),
    ("worst class", "the class that lost most IoU since the row above, in points; above 0: even this class gained"),
    ("logit error", "largest difference of a class score from the row above; scores are commonly -20 to 20"),
    ("since torch %", "pixels with the class that the trained network gives them in torch: all steps together"),
    ("ms", "median of one inference, engine only: without capture, resize, masks and overlay, which `seg-edge bench` adds"),
)


def heading(spec: ModelSpec) -> list[str]:
    """A description of the network, and the meaning of the step table's columns."""
    height, width = spec.input_hw
    return [
        f"# {spec.name}",
        "",
        f"Input {height}x{width}, {len(spec.labels)} classes, output stride {spec.output_stride}. "
        "Agreement, worst class and logit error: against the row above. Latency: median of one inference, engine only.",
        "",
        *(part for line in range_lines(spec) for part in (line, "")),
    ]


def range_lines(spec: ModelSpec) -> list[str]:
    """How images deeper than 8 bits are read; nothing for a network of 8-bit images."""
    if spec.input_range is None:
        return []
    low, high = (f"{end:.9g}" for end in spec.input_range)
    return [f"Images are deeper than 8 bits: values from {low} to {high} become 0 to 255, those beyond are cut off."]


def step_section(steps: Sequence[StepRow]) -> list[str]:
    """The table of steps, and the speed-up on each engine."""
    rows = [[cell(row) for _, cell in COLUMNS] for row in steps]
    lines = markdown_table([title for title, _ in COLUMNS], rows, left=1)
    faster = speed_lines(steps)
    if faster:
        lines += ["", "## Speed", "", *faster]
    return lines


def speed_lines(steps: Sequence[StepRow]) -> list[str]:
    """How much faster each measured file is than the first one, on each engine that ran both."""
    measured = [row for row in steps if row.latency_ms]
    lines: list[str] = []
    for row in measured[1:]:
        first = measured[0]
        ratios = [
            f"{first.latency_ms[engine] / ms:.2f} times on {engine}"
            for engine, ms in row.latency_ms.items()
            if engine in first.latency_ms and ms
        ]
        if ratios:
            lines.append(f"- {row.step}: {', '.join(ratios)} as fast as {first.step} ({first.precision})")
    return lines


def engine_section(engines: Sequence[EngineRow]) -> list[str]:
    """The table of files on engines."""
    if not engines:
        return []
    titles = ["file", "engine", "agreement %", "logit error", "mIoU %", "worst class"]
    rows = [
        [
            row.precision,
            f"{row.engine} {row.version or ''}".strip() + (" (its dialect, simulated)" if row.simulated else ""),
            percent(row.agreement, 3),
            f"{row.max_abs_error:.2g}",
            percent(row.miou),
            worst_class_text(row.worst_class),
        ]
        for row in engines
    ]
    return [
        "",
        "## Engines",
        "",
        "Agreement and logit error: against the graph, computed in float as it is written. "
        "Worst class: against fp32 on the same engine.",
        "",
        *markdown_table(titles, rows, left=2, last_left=True),
    ]


def note_section(steps: Sequence[StepRow]) -> list[str]:
    """Notes on single steps."""
    notes = [f"- {row.step}: {note}" for row in steps for note in row.notes]
    return ["", "## Notes", "", *notes] if notes else []


def gate_section(gates: Sequence[Gate], first_bad_step: str | None) -> list[str]:
    """The table of limits, and the first step that broke a limit."""
    if not gates:
        return []
    verdict = "Every limit holds." if first_bad_step is None else f"The first bad step is **{first_bad_step}**."
    return ["", "## Gates", "", verdict, "", *gate_table(gates)]


def gate_table(gates: Sequence[Gate]) -> list[str]:
    """The rows of the table of limits."""
    rows = [
        [
            gate.name,
            f"{'≥' if gate.at_least else '≤'} {gate.limit:.4g}",
            f"{gate.value:.4g}",
            ("ok" if gate.passed else "BROKEN") + (f" ({gate.note})" if gate.note else ""),
        ]
        for gate in gates
    ]
    return markdown_table(["gate", "limit", "value", ""], rows, left=1, last_left=True)


def sensitivity_section(costs: Sequence[LayerCost]) -> list[str]:
    """The cost of each convolution alone in INT8."""
    if not costs:
        return []
    titles = ["layer", "error of the logits", "agreement %", "max error", "computed in"]
    rows = [
        [cost.layer, f"{cost.noise:.2e}", percent(cost.agreement, 3), f"{cost.max_abs_error:.2g}", cost.precision]
        for cost in sorted(costs, key=lambda cost: -cost.noise)
    ]
    return [
        "",
        "## Sensitivity",
        "",
        "Each convolution alone in INT8, the rest in float, against all in float; the costliest first. "
        f"Error: its energy over the energy of the logits. Plot, in the order of the graph: {PLOT_FILE}.",
        "",
        *markdown_table(titles, rows, left=1, last_left=True),
    ]


def fallback_section(trials: Sequence[Trial]) -> list[str]:
    """The mixtures of float and INT8 that were tried."""
    if not trials:
        return []
    rows = [
        [
            ", ".join(trial.layers) or "none",
            percent(trial.miou),
            worst_class_text(trial.worst_class),
            "held" if trial.held else "broken",
        ]
        for trial in trials
    ]
    return [
        "",
        "## Fallback",
        "",
        "Mixtures of float and INT8 that were tried, the one that was taken last.",
        "",
        *markdown_table(["layers in float", "mIoU %", "worst class", "limits"], rows, left=1, last_left=True),
    ]


def glossary_section() -> list[str]:
    """The meaning of the step table's columns."""
    return ["", "## Columns", "", *(f"- {title}: {text}." for title, text in GLOSSARY)]


def file_section(steps: Sequence[StepRow]) -> list[str]:
    """The hash of each file."""
    rows = [[row.file, f"`{row.sha256}`"] for row in steps if row.file]
    return ["", "## Files", "", *markdown_table(["file", "sha256"], rows, left=2)]


def markdown_table(
    titles: Sequence[str], rows: Iterable[Sequence[object]], *, left: int, last_left: bool = False
) -> list[str]:
    """The lines of a table. The first ``left`` columns are left-aligned; with ``last_left``, the last column is too."""
    last = len(titles) - 1
    rule = ["---" if i < left or (last_left and i == last) else "---:" for i in range(len(titles))]
    return [_line(titles), _line(rule), *map(_line, rows)]


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
