"""A configuration's row of ``bench --json``, with the remarks that explain its figures."""

from __future__ import annotations

from typing import Any

from ...core.artefact import sha256
from ...runtime.pipeline.stats import median_interval
from ..instruments.sensors import QUIET_CORES
from ..instruments.vitals import memory
from .configuration import Configuration
from .figures import Figures

#: With fewer runs than this, the row gets a note.
_FEW_RUNS = 30
_NO_CLOCKS: dict[str, Any] = {"cpu": None, "gpu": None}


def row_of(configuration: Configuration, frame_hw: tuple[int, int]) -> dict[str, Any]:
    """The row of a configuration. A failed configuration gets no figures, even if some were measured.

    Args:
        configuration: A measured or failed configuration.
        frame_hw: Height and width of the input frames.
    """
    measured = configuration.failed is None
    figures = configuration.figures if measured else Figures()
    return {
        **_about(configuration, frame_hw),
        **_speed(figures),
        "memory": {
            "model_bytes": figures.model_bytes,
            "process_peak_bytes": memory(configuration.root)["peak_bytes"],
        },
        "miou": configuration.miou,
        **_instruments(configuration, figures),
        "camera": configuration.camera if measured else None,
        "ratio": None,
        "note": "; ".join(_remarks(configuration)),
    }


def _about(configuration: Configuration, frame_hw: tuple[int, int]) -> dict[str, Any]:
    spec, path = configuration.spec, configuration.path
    params, macs = _sizes(configuration)
    return {
        "model": spec.name if spec else path.stem,
        "file": str(path),
        "precision": spec.precision if spec else None,
        "engine": configuration.engine,
        "threads": configuration.threads,
        "imgsz": list(spec.input_hw) if spec else None,
        "frame": list(frame_hw),
        "batch": configuration.batch,
        "params": params,
        "macs": macs,
        "bytes": path.stat().st_size if path.is_file() else None,
        "sha256": sha256(path) if path.is_file() else None,
    }


def _speed(figures: Figures) -> dict[str, Any]:
    cold = figures.cold
    return {
        "engine_ms": figures.samples["engine"].percentiles(),
        "e2e_ms": figures.samples["e2e"].percentiles(),
        "stages_ms": {stage: samples.percentiles()["p50"] for stage, samples in figures.stages.items()},
        "fps_engine": figures.fps("engine"),
        "fps_e2e": figures.fps("e2e"),
        "fps_cold": cold["fps"] if cold else None,
        "cold": cold or None,
        "interval": {key: median_interval(values) for key, values in figures.turns.items()},
        "turns": {key: list(values) for key, values in figures.turns.items()},
        "turns_at_s": list(figures.turns_at_s),
        "runs": {kind: samples.count for kind, samples in figures.samples.items()},
        "startup_ms": figures.startup_ms,
    }


def _instruments(configuration: Configuration, figures: Figures) -> dict[str, Any]:
    vitals = configuration.vitals if configuration.failed is None else None
    return {
        "watts": figures.energy.watts,
        "joules_per_frame": figures.energy.joules_per_frame,
        "power_source": configuration.meter.source or None,
        "temperature_c": vitals.hottest_c if vitals else None,
        "clocks_mhz": vitals.clocks_mhz if vitals else dict(_NO_CLOCKS),
        "throttled": vitals.throttled if vitals else None,
        "other_cores": configuration.load.cores,
    }


def _sizes(configuration: Configuration) -> tuple[int | None, int | None]:
    """Parameters and multiply-accumulates, if the model file states them."""
    provenance = dict(configuration.spec.provenance) if configuration.spec else {}
    params, macs = (provenance.get(key) if isinstance(provenance.get(key), int) else None for key in ("params", "macs"))
    return params, macs


def _remarks(configuration: Configuration) -> list[str]:
    if configuration.failed is not None:
        return [f"not measured: {configuration.failed}"]
    remarks = list(configuration.notes)
    others = configuration.load.cores
    if others is None:
        remarks.append("the load by other processes is not visible here")
    elif others > QUIET_CORES:
        remarks.append(f"other processes kept {others:.1f} cores busy meanwhile")
    if None in _sizes(configuration):
        remarks.append("params and MACs: the model file doesn't say")
    return remarks + _power_remarks(configuration) + _vitals_remarks(configuration) + _turn_remarks(configuration.figures)


def _power_remarks(configuration: Configuration) -> list[str]:
    energy, meter, turns = configuration.figures.energy, configuration.meter, len(configuration.figures.turns["e2e_ms"])
    if energy.joules is None:
        return [f"power not measurable here ({meter.reason or 'the instrument failed'})"]
    remarks = [f"power is that of {meter.scope} ({meter.source}) during end-to-end runs"]
    if energy.blocks < turns:
        remarks.append(f"power could be read in {energy.blocks} of {turns} turns")
    return remarks


def _vitals_remarks(configuration: Configuration) -> list[str]:
    vitals, remarks = configuration.vitals, []
    if vitals is None or vitals.hottest_c is None:
        remarks.append("temperature not measurable here (no sensor)")
    if vitals is None or vitals.clocks_mhz == _NO_CLOCKS:
        remarks.append("clocks not measurable here")
    throttled = vitals.throttled if vitals else None
    if throttled is None:
        remarks.append("throttling not visible here")
    elif throttled:
        remarks.append(f"throttled meanwhile: {', '.join(throttled)}")
    return remarks


def _turn_remarks(figures: Figures) -> list[str]:
    remarks, turns = [], len(figures.turns["e2e_ms"])
    if median_interval(figures.turns["e2e_ms"]) is None:
        remarks.append(f"no interval: {turns} turns, it takes 6")
    elif figures.uneven():
        remarks.append("uneven: stalls pull the mean FPS below the interval of the turns")
    engine, e2e = (figures.samples[kind].count for kind in ("engine", "e2e"))
    if e2e < _FEW_RUNS:
        remarks.append(f"few runs: {engine} engine alone, {e2e} end to end, in {turns} turns")
    return remarks
