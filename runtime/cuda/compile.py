"""The CUDA kernels as machine code for one GPU, compiled by nvcc when they are first wanted, and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from ...core.artefact import atomic_path
from ...core.errors import EngineError

_HERE = Path(__file__).parent
SOURCES = (_HERE / "kernels.cu", _HERE / "se_image.h", _HERE.parent / "csrc" / "se_pixel.h")
# As the C kernels: never a product and a sum in one rounding.
_FLAGS = ("--fmad=false", "-O3", "--cubin")


def cubin(architecture: str, cache: Path | None = None) -> Path:
    """The kernels' machine code.

    Args:
        architecture: Such as ``"sm_87"``.
        cache: Folder to keep it in; None is ``$XDG_CACHE_HOME/seg-edge/cuda``.

    Returns:
        A ``.cubin`` file, compiled from exactly the present sources by the present compiler.

    Raises:
        EngineError: there is no nvcc, or it fails; the text is its first error.
    """
    compiler = find_nvcc()
    if compiler is None:
        raise EngineError(
            "CUDA kernels: nvcc is not installed; install the CUDA toolkit (JetPack: apt-get install cuda-nvcc-12-6), "
            "or put its bin folder into PATH"
        )
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seg-edge" / "cuda"
    target = folder / f"kernels.{architecture}.{_key(compiler)}.cubin"
    if not target.is_file():
        with atomic_path(target) as temporary:
            includes = [f"-I{folder}" for folder in sorted({str(source.parent) for source in SOURCES})]
            words = [compiler, *_FLAGS, f"-arch={architecture}", *includes, "-o", str(temporary), str(SOURCES[0])]
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
            if done.returncode:
                lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
                telling = [line for line in lines if "error" in line.lower()] or lines or ["no reason given"]
                raise EngineError(f"CUDA kernels: nvcc fails for {architecture}: {telling[0].strip()[:300]}")
    return target


def find_nvcc() -> str | None:
    """The CUDA compiler: in PATH, or where the toolkit is installed."""
    for place in (os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        found = shutil.which("nvcc") or (place and shutil.which("nvcc", path=f"{place}/bin"))
        if found:
            return found
    return None


def _key(compiler: str) -> str:
    """Changes with the sources, the flags and the compiler."""
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in SOURCES:
        digest.update(source.read_bytes())
    digest.update(subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout)
    return digest.hexdigest()[:16]
