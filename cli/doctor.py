"""``seg-edge doctor``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import console


def doctor(
    file: Annotated[Path | None, typer.Argument(help="Where --json writes. Default: standard output.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON instead of tables.")] = False,
) -> None:
    """Say what this machine can do, and why not the rest."""
    import json as codec

    from ..core.artefact import write_json
    from ..core.errors import InputError
    from ..runtime.doctor import doctor as examine

    if file is not None and not json:
        raise InputError(f"doctor: got the file {file} but not --json; pass --json {file}")
    report = examine()
    if not json:
        _print(report)
    elif file is None:
        print(codec.dumps(report, indent=1, allow_nan=False))
    else:
        write_json(file, report)


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    from ..runtime.machine.system import summary

    out = console()

    def lines(heading: str, rows: list[tuple[str, str]]) -> None:
        grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for name, text in rows:
            grid.add_row(name, text)
        out.print(heading, style="bold")
        out.print(grid, highlight=False, markup=False)
        out.print()

    machine, board = report["machine"], report["machine"]["jetson"]
    about = [("machine", summary(machine)), ("kernel", machine["kernel"])]
    if board:
        about.append(
            ("Jetson", f"L4T {board['l4t']}, JetPack {board['jetpack']}, power mode {board['power_mode'] or 'unknown'}")
        )
    if machine["cpu_quota"]:
        about.append(
            (
                "CPU quota",
                f"{machine['cpu_quota']:g} of {machine['logical_cpus']} CPUs' time, which threads keep to",
            )
        )
    if machine["governor"]:
        locked = "clocks locked" if machine["clocks_locked"] else "clocks vary with load"
        about.append(("CPU clocks", f"governor {machine['governor']}, {locked}"))
    packages = ", ".join(f"{name} {version}" for name, version in report["python"]["packages"].items())
    about += [
        ("Python", f"{report['python']['implementation']} {report['python']['version']}"),
        ("packages", packages),
        ("C kernels", report["isa_reason"] or f"{report['isa']} (this CPU has: {', '.join(report['isas'])})"),
    ]
    lines("This machine", about)
    lines("Engines", [(row["name"], _state(row["available"], row["version"], row["reason"])) for row in report["engines"]])
    lines("GPU", _gpu_rows(report))
    lines("Video", _video_rows(report["video"]))
    if report["disagreements"]:
        rows = [(package, f"{len(names)}: {', '.join(names)}") for package, names in report["disagreements"].items()]
        lines("Known to compute something else on some files (docs/disagreements.md says what)", rows)
    lines(
        "What works",
        [(f"{'yes' if row['available'] else 'no ':3} {row['name']}", row["text"]) for row in report["abilities"]],
    )


def _state(available: bool, version: str | None, reason: str) -> str:
    return version or "available" if available else f"not available: {reason}"


def _gpu_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    cuda = report["cuda"]
    rows = []
    for gpu in report["gpu"]:
        memory = f"{gpu['memory_bytes'] / 2**30:.1f} GB" if gpu["memory_bytes"] else None
        level = f"compute capability {gpu['compute_capability']}" if gpu["compute_capability"] else None
        limit = f"power limit {gpu['power_limit_w']:g} W" if gpu["power_limit_w"] else None
        rows.append((gpu["name"], ", ".join(part for part in (memory, level, limit) if part)))
    driver = f"driver {cuda['driver'] or 'unknown'}, CUDA {cuda['cuda'] or 'unknown'}"
    rows.append(("CUDA", driver if cuda["available"] else f"not available: {cuda['reason']}"))
    return rows + [(row["module"], _state(row["available"], row["version"], row["reason"])) for row in report["modules"]]


def _pyav(video: dict[str, Any]) -> str:
    if video["pyav"] is None:
        return str(video["pyav_reason"])
    return str(video["pyav"]) + (f", FFmpeg {video['pyav_ffmpeg']}" if video["pyav_ffmpeg"] else "")


def _video_rows(video: dict[str, Any]) -> list[tuple[str, str]]:
    opencv = video["opencv"] and f"{video['opencv']}, video backends {', '.join(video['backends'])}"
    built = f"window toolkit {video['gui'] or 'none'}, GStreamer {'yes' if video['opencv_gstreamer'] else 'no'}"
    named = [f"{camera['path']} {camera['name'] or ''}".strip() for camera in video["cameras"]]
    return [
        ("OpenCV", f"{opencv}, {built}" if opencv else video["opencv_reason"]),
        *([("", video["opencv_note"])] if video["opencv_note"] else []),
        ("PyAV", _pyav(video)),
        *[(f"  {row['name']}", _state(row["available"], None, row["reason"])) for row in video["decoders"]],
        ("gst-launch-1.0", video["gst_launch"] or "not installed"),
        *[("", f"no element {row['element']}; {row['package']} brings it") for row in video["gst_missing"] or []],
        ("ffmpeg", video["ffmpeg"] or "not installed"),
        ("display", video["display"] or "none"),
        ("cameras", ", ".join(named) or "none"),
    ]
