"""Records of engine files built by TensorRT or TensorRT-RTX, and the check whether a machine can run them.

An engine file is a plain plan, loadable by ``trtexec``, Triton and DeepStream. Its record is in the ``model.json`` in
the same folder, under ``provenance.plans``. Mismatches are detected by comparing records before TensorRT is called,
because TensorRT's own message mentions only a magic tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ...core.errors import ModelFileError
from ...core.spec import ModelSpec

#: Key of the records in a spec's provenance: ``{file name: record}``.
PLANS_KEY = "plans"
#: Name of an engine on the command line → its Python module, and its product name.
FLAVOURS = {"tensorrt": ("tensorrt", "TensorRT"), "rtx": ("tensorrt_rtx", "TensorRT-RTX")}
#: Suffixes of engine files.
PLAN_SUFFIXES = (".engine", ".plan")


@dataclass(frozen=True)
class PlanRecord:
    """How an engine file was built.

    Attributes:
        flavour: A name of :data:`FLAVOURS`.
        version: TensorRT's ``__version__``.
        cuda: Major version of the CUDA runtime at build time; None if unknown.
        gpu: Name of the GPU of the building machine; None if it had none.
        compute_capabilities: Supported GPUs, e.g. ``["8.9"]``; empty means every GPU that the builder supports.
        precision: Precision of the graph: fp32, fp16 or int8.
        onnx, onnx_sha256: The source graph: file name and SHA-256 digest.
        sha256: SHA-256 digest of the engine file.
        version_compatible: The engine also runs on later versions of the same major version.
        hardware: Hardware compatibility level: ``"none"``, ``"ampere_plus"`` or ``"same_compute_capability"``.
        dla_core: The DLA core that the engine was built for, or None.
        options: Other build options: workspace in MiB, optimization level.
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
            ModelFileError: a key is missing or unknown, or the flavour is unknown.
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
    """Hardware and software of a machine that is to run engine files. None means unknown, and is not compared.

    Attributes:
        flavour, version: The installed TensorRT.
        compute_capability: Compute capability of the GPU, e.g. ``"8.7"``.
        gpu: Name of the GPU.
        cuda: The newest CUDA version that the driver supports, e.g. ``"13.0"``.
        dla_cores: Number of DLA cores.
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
    """The engine records of a spec by file name, as JSON values."""
    records = spec.provenance.get(PLANS_KEY, {})
    return dict(records) if isinstance(records, Mapping) else {}


def with_plan(spec: ModelSpec, file: str, record: PlanRecord) -> ModelSpec:
    """A copy of a spec with the record of one more engine file."""
    return spec.with_(provenance={**spec.provenance, PLANS_KEY: {**plan_records(spec), file: record.to_dict()}})


def build_command(onnx: str | Path, flavour: str, *options: str) -> str:
    """The command that builds an engine file, for messages to the user.

    >>> build_command("model.int8.onnx", "rtx", "force")
    'seg-edge build model.int8.onnx --engine rtx --force'
    """
    return " ".join([f"seg-edge build {onnx} --engine {flavour}", *(f"--{option}" for option in options)])


def mismatches(record: PlanRecord, host: PlanHost) -> list[Mismatch]:
    """All reasons why an engine file can't run on a machine, the most important one first."""
    title, here = FLAVOURS[record.flavour][1], FLAVOURS[host.flavour][1]
    reasons: list[Mismatch] = []
    rebuild = f"build it here: {build_command(record.onnx, host.flavour)}"
    if record.flavour != host.flavour:
        return [Mismatch("TensorRT flavour", title, here, f"open it with engine {record.flavour}, or {rebuild}")]
    if not _version_fits(record, host):
        wanted = f"{title} {record.version}" + (" or later of its major version" if record.version_compatible else "")
        reasons.append(
            Mismatch("TensorRT version", wanted, f"{here} {host.version}", f"install {title} {record.version}, or {rebuild}")
        )
    if host.compute_capability is not None and not _gpu_fits(record, host.compute_capability):
        wanted = " and ".join(record.compute_capabilities) + {"ampere_plus": ", Ampere or later"}.get(record.hardware, "")
        digits = host.compute_capability.replace(".", "")
        option = f" --compute-capability {digits}" if host.flavour == "rtx" else ""
        gpu = f"{host.compute_capability} ({host.gpu})" if host.gpu else host.compute_capability
        reasons.append(Mismatch("compute capability", wanted, gpu, f"{rebuild}{option}"))
    if record.cuda is not None and host.cuda is not None and _numbers(host.cuda)[:1] < _numbers(record.cuda)[:1]:
        reasons.append(
            Mismatch(
                "CUDA",
                record.cuda,
                f"a driver for CUDA {host.cuda}",
                f"update the NVIDIA driver to one for CUDA {record.cuda}",
            )
        )
    if record.dla_core is not None and host.dla_cores is not None and record.dla_core >= host.dla_cores:
        reasons.append(
            Mismatch("DLA", f"core {record.dla_core}", f"{host.dla_cores} cores", f"{rebuild}, without --dla-core")
        )
    return reasons


def _version_fits(record: PlanRecord, host: PlanHost) -> bool:
    built, here = _numbers(record.version), _numbers(host.version)
    if record.version_compatible:
        return built[:1] == here[:1] and built <= here
    # Only the TensorRT version that wrote a plan can read it. The fourth number is a rebuild of the same sources.
    return built[:3] == here[:3]


def _gpu_fits(record: PlanRecord, capability: str) -> bool:
    if record.hardware == "ampere_plus":
        return _numbers(capability) >= (8, 0)
    return not record.compute_capabilities or capability in record.compute_capabilities


def _numbers(version: str) -> tuple[int, ...]:
    """``"10.3.0.26"`` → (10, 3, 0, 26); parsing stops at the first part that is not a number."""
    parts: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        parts.append(int(part))
    return tuple(parts)
