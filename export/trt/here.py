"""Whether an engine file can run on the machine that built it, which may have no GPU or another one."""

from __future__ import annotations

from ...runtime.engines import engine_class, nvinfer
from ...runtime.modelfile.plan import FLAVOURS, PlanHost, PlanRecord, mismatches


def why_not_here(made: PlanRecord) -> str | None:
    """Why an engine can't run on this machine, judged from its record alone; None if it should run."""
    state = engine_class(made.flavour).available()
    if not state.ok:
        return f"engine {made.flavour}: not available: {state.reason}"
    wrong = mismatches(made, host_of(made.flavour))
    return ". ".join(map(str, wrong)) or None


def host_of(flavour: str) -> PlanHost:
    """Versions and GPU of this machine for engine files of a flavour, which must be available."""
    host: PlanHost = getattr(engine_class(flavour), "host")()  # noqa: B009  # only these engines have one
    return host


def unknown_gpu(made: PlanRecord) -> str | None:
    """Why this GPU may reject an engine for "every GPU that the builder supports"; None if a rejection is an error.

    TensorRT-RTX lists the GPUs that it builds for. The list may lack this machine's GPU; 1.7 lacks H100 and H200.
    """
    capability = host_of(made.flavour).compute_capability
    if made.compute_capabilities or capability is None:
        return None
    names = getattr(nvinfer.load(made.flavour).trt, "ComputeCapability", None)
    known = [name[2:] for name in getattr(names, "__members__", {}) if name.startswith("SM")]
    if not known or capability.replace(".", "") in known:
        return None
    return f"{FLAVOURS[made.flavour][1]} builds for compute capability {', '.join(known)}, this GPU has {capability}"
