"""Whether an engine file can be tried on the machine that built it: builders need no GPU, or build for another one."""

from __future__ import annotations

from ...runtime.engines import engine_class, nvinfer
from ...runtime.modelfile.plan import FLAVOURS, PlanHost, PlanRecord, mismatches


def why_not_here(made: PlanRecord) -> str | None:
    """Why an engine can't run on this machine, whatever is in its file; None if it should."""
    state = engine_class(made.flavour).available()
    if not state.ok:
        return f"engine {made.flavour}: not available: {state.reason}"
    wrong = mismatches(made, host_of(made.flavour))
    return ". ".join(map(str, wrong)) or None


def host_of(flavour: str) -> PlanHost:
    """What this machine has for engine files of a flavour, which must be available."""
    host: PlanHost = getattr(engine_class(flavour), "host")()  # noqa: B009  # only these engines have one
    return host


def unknown_gpu(made: PlanRecord) -> str | None:
    """Why an engine for "every GPU that the builder supports" may be refused on this one; None where it must not be.

    TensorRT-RTX names the GPUs that it builds for, and this need not be one of them (H100 and H200 are none, in 1.7).
    """
    capability = host_of(made.flavour).compute_capability
    if made.compute_capabilities or capability is None:
        return None
    names = getattr(nvinfer.load(made.flavour).trt, "ComputeCapability", None)
    known = [name[2:] for name in getattr(names, "__members__", {}) if name.startswith("SM")]
    if not known or capability.replace(".", "") in known:
        return None
    return f"{FLAVOURS[made.flavour][1]} builds for compute capability {', '.join(known)}, this GPU has {capability}"
