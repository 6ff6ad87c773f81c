"""What is known about an engine file that TensorRT or TensorRT-RTX built, and whether another machine can run it.

The file itself is a pure plan, as ``trtexec``, Triton and DeepStream load it; its record stands in ``model.json`` beside it,
under ``provenance.plans``. A mismatch is found by comparing records, before TensorRT is called: its own message for the same
thing is a line about a magic tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...core.errors import ModelFileError
from ...core.spec import ModelSpec

#: Where the records stand in a spec's provenance: ``{file name: record}``.
PLANS_KEY = "plans"
#: Name of an engine on the command line → the Python module behind it, and what people call it.
FLAVOURS = {"tensorrt": ("tensorrt", "TensorRT"), "rtx": ("tensorrt_rtx", "TensorRT-RTX")}
#: Suffixes of engine files.
PLAN_SUFFIXES = (".engine", ".plan")


@dataclass(frozen=True)
class PlanRecord:
    """How an engine file was built.

    Attributes:
        flavour: A name of :data:`FLAVOURS`.
        version: TensorRT's ``__version__``.
        cuda: Major version of the CUDA runtime that it was built with; None where that is unknown.
        gpu: Name of the GPU of the building machine; None where there was none.
        compute_capabilities: GPUs that it runs on, e.g. ``["8.9"]``; empty: every one that the builder supports.
        precision: Of the graph: fp32, fp16, int8.
        onnx, onnx_sha256: The graph that it was built from: file name and digest of the bytes.
        sha256: Digest of the engine file.
        version_compatible: Runs on later versions of the same major version too.
        hardware: ``"none"``, ``"ampere_plus"`` or ``"same_compute_capability"``: GPUs beyond the building machine's own.
        dla_core: The DLA core it was built for, or None.
        options: What else decided the build: workspace in MiB, optimization level.
    """

    flavour: str
    version: str
    cuda: str | None
    gpu: str | None
    compute_capabilities: list[str]
    precision: str
    onnx: str
    onnx_sha256: str
    sha256: str
    version_compatible: bool = False
    hardware: str = "none"
    dla_core: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """``"TensorRT-RTX 1.7.1"``"""
        return f"{FLAVOURS[self.flavour][1]} {self.version}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "model.json") -> PlanRecord:
        """Reads what :meth:`to_dict` wrote.

        Raises:
            ModelFileError: a key is missing or unknown, or the flavour is.
        """
        known = {item.name for item in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != known:
            got = sorted(set(data) ^ known) if isinstance(data, Mapping) else [type(data).__name__]
            raise ModelFileError(f"{where}: record of an engine is damaged (key {got[0]!r}); build the engine again")
        if data["flavour"] not in FLAVOURS:
            raise ModelFileError(
                f"{where}: engine of flavour {data['flavour']!r}, expected one of {', '.join(FLAVOURS)}; build it again"
            )
        return cls(**data)


@dataclass(frozen=True)
class PlanHost:
    """What a machine has to run engine files with. None: not known here, and then not compared.

    Attributes:
        flavour, version: The installed TensorRT.
        compute_capability: Of its GPU, e.g. ``"8.7"``.
        gpu: Name of its GPU.
        cuda: The newest CUDA that its driver runs, e.g. ``"13.0"``.
        dla_cores: Number of its DLA cores.
    """

    flavour: str
    version: str
    compute_capability: str | None = None
    gpu: str | None = None
    cuda: str | None = None
    dla_cores: int | None = None


@dataclass(frozen=True)
class Mismatch:
    """One reason why an engine file does not fit a machine."""

    part: str
    recorded: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.part}: built for {self.recorded}, found {self.found}; {self.remedy}"


def plan_records(spec: ModelSpec) -> dict[str, Any]:
    """The records of a spec, by file name, as they stand in the JSON."""
    found = spec.provenance.get(PLANS_KEY, {})
    return dict(found) if isinstance(found, Mapping) else {}


def with_plan(spec: ModelSpec, file: str, record: PlanRecord) -> ModelSpec:
    """A copy of a spec that records one more engine file."""
    return spec.with_(provenance={**spec.provenance, PLANS_KEY: {**plan_records(spec), file: record.to_dict()}})


def build_command(onnx: str | Path, flavour: str, *options: str) -> str:
    """The command that builds an engine file, for a user to type.

    >>> build_command("model.int8.onnx", "rtx", "force")
    'seg-edge build model.int8.onnx --engine rtx --force'
    """
    return " ".join([f"seg-edge build {onnx} --engine {flavour}", *(f"--{option}" for option in options)])


def mismatches(record: PlanRecord, host: PlanHost) -> list[Mismatch]:
    """Everything that keeps an engine file from running on a machine, most telling first."""
    title, here = FLAVOURS[record.flavour][1], FLAVOURS[host.flavour][1]
    found: list[Mismatch] = []
    rebuild = f"build it here: {build_command(record.onnx, host.flavour)}"
    if record.flavour != host.flavour:
        return [Mismatch("TensorRT flavour", title, here, f"open it with engine {record.flavour}, or {rebuild}")]
    if not _version_fits(record, host):
        wanted = f"{title} {record.version}" + (" or later of its major version" if record.version_compatible else "")
        found.append(
            Mismatch("TensorRT version", wanted, f"{here} {host.version}", f"install {title} {record.version}, or {rebuild}")
        )
    if host.compute_capability is not None and not _gpu_fits(record, host.compute_capability):
        wanted = " and ".join(record.compute_capabilities) + {"ampere_plus": ", Ampere or later"}.get(record.hardware, "")
        digits = host.compute_capability.replace(".", "")
        option = f" --compute-capability {digits}" if host.flavour == "rtx" else ""
        gpu = f"{host.compute_capability} ({host.gpu})" if host.gpu else host.compute_capability
        found.append(Mismatch("compute capability", wanted, gpu, f"{rebuild}{option}"))
    if record.cuda is not None and host.cuda is not None and _numbers(host.cuda)[:1] < _numbers(record.cuda)[:1]:
        found.append(
            Mismatch(
                "CUDA",
                record.cuda,
                f"a driver for CUDA {host.cuda}",
                f"update the NVIDIA driver to one for CUDA {record.cuda}",
            )
        )
    if record.dla_core is not None and host.dla_cores is not None and record.dla_core >= host.dla_cores:
        found.append(Mismatch("DLA", f"core {record.dla_core}", f"{host.dla_cores} cores", f"{rebuild}, without --dla-core"))
    return found


def _version_fits(record: PlanRecord, host: PlanHost) -> bool:
    built, here = _numbers(record.version), _numbers(host.version)
    if record.version_compatible:
        return built[:1] == here[:1] and built <= here
    # A plan is only read by exactly the version that wrote it; the fourth number is a build of the same sources.
    return built[:3] == here[:3]


def _gpu_fits(record: PlanRecord, capability: str) -> bool:
    if record.hardware == "ampere_plus":
        return _numbers(capability) >= (8, 0)
    return not record.compute_capabilities or capability in record.compute_capabilities


def _numbers(version: str) -> tuple[int, ...]:
    """``"10.3.0.26"`` → (10, 3, 0, 26); what follows the first part that is no number is dropped."""
    parts: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)
