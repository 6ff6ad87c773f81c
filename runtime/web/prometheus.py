"""Converts the statistics of a run to Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from typing import Any

#: States of a source in ``run --json``.
SOURCE_STATES = ("file", "connecting", "live", "stalled", "reconnecting", "ended")


def prometheus(stats: dict[str, Any]) -> str:
    """The statistics of :meth:`seg_edge.runtime.Pipeline.stats` as metrics ``seg_edge_…``, without null values."""
    lines: list[str] = []

    def metric(name: str, kind: str, text: str, samples: list[tuple[dict[str, str], float | int | None]]) -> None:
        rows = [(labels, value) for labels, value in samples if value is not None]
        if rows:
            lines.extend((f"# HELP seg_edge_{name} {text}", f"# TYPE seg_edge_{name} {kind}"))
        for labels, value in rows:
            inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            lines.append(f"seg_edge_{name}{{{inner}}} {value:.10g}" if inner else f"seg_edge_{name} {value:.10g}")

    def seconds(table: dict[str, float | None], **labels: str) -> list[tuple[dict[str, str], float | int | None]]:
        return [
            ({**labels, "quantile": f"0.{key[1:]}"}, None if value is None else value / 1e3) for key, value in table.items()
        ]

    metric("info", "gauge", "Engine and device.", [({"engine": stats["engine"], "device": stats["device"]}, 1)])
    metric("frames_in_total", "counter", "Frames that the sources delivered.", [({}, stats["frames_in"])])
    metric("frames_out_total", "counter", "Frames that the sinks got.", [({}, stats["frames_out"])])
    metric("frames_computed_total", "counter", "Frames of these that the network computed.", [({}, stats["computed"])])
    metric("frames_dropped_total", "counter", "Frames left out, by reason.", [
        ({"reason": reason}, count) for reason, count in stats["dropped"].items()
    ])  # fmt: skip
    metric("sink_frames_dropped_total", "counter", "Frames that a sink left out.", [
        ({"sink": row["sink"]}, row["dropped"]) for row in stats["sinks"]
    ])  # fmt: skip
    metric("run_seconds_total", "counter", "Seconds since the run began.", [({}, stats["seconds"])])
    metric("fps", "gauge", "Frames per second at the sinks, over the whole run.", [({}, stats["fps"])])
    metric("latency_seconds", "gauge", "Frame in memory to overlay in memory.", seconds(stats["latency_ms"]))
    metric("frame_age_seconds", "gauge", "Frame in memory to the last sink.", seconds(stats["frame_age_ms"]))
    metric("stage_seconds", "gauge", "Time of each stage.", [
        row for stage, table in stats["stages_ms"].items() for row in seconds(table, stage=stage)
    ])  # fmt: skip
    sources = stats["sources"]
    metric("source_reconnects_total", "counter", "Times a source was lost and found again.", [
        ({"source": row["source"]}, row["reconnects"]) for row in sources
    ])  # fmt: skip
    metric("source_stalls_total", "counter", "Times a source fell silent.", [
        ({"source": row["source"]}, row["stalls"]) for row in sources
    ])  # fmt: skip
    metric("source_lost_seconds_total", "counter", "Seconds without frames in all outages.", [
        ({"source": row["source"]}, row["lost_s"]) for row in sources
    ])  # fmt: skip
    metric("source_state", "gauge", "1 for the state that a source is in.", [
        ({"source": row["source"], "state": state}, int(row["state"] == state)) for row in sources for state in SOURCE_STATES
    ])  # fmt: skip
    areas = stats.get("areas", ())
    metric("area_ratio", "gauge", "Share of a zone that a class covers, in the last frame.", [
        ({"source": str(row["source"]), "zone": row["zone"], "class": entry["name"]}, entry["last"])
        for row in areas for entry in row["classes"]
    ])  # fmt: skip
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
