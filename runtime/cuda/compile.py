"""Compiles the CUDA kernels for one GPU with nvcc on first use, and caches the machine code."""

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
# No fused multiply-add, as in the C kernels, so that results are bit-identical.
_FLAGS = ("--fmad=false", "-O3", "--cubin")


def cubin(architecture: str, cache: Path | None = None) -> Path:
    """The machine code of the kernels for a GPU architecture.

    Args:
        architecture: GPU architecture, such as ``"sm_87"``.
        cache: Cache folder; None is ``$XDG_CACHE_HOME/seg-edge/cuda``.

    Returns:
        Path of a ``.cubin`` file, compiled from the current sources by the installed compiler.

    Raises:
        EngineError: nvcc is not installed, or fails; the text includes nvcc's first error.
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
    """Path of the CUDA compiler, from PATH or the toolkit's folder; None if it is not installed."""
    for place in (os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        compiler = shutil.which("nvcc") or (place and shutil.which("nvcc", path=f"{place}/bin"))
        if compiler:
            return compiler
    return None


def _key(compiler: str) -> str:
    """Cache key: a digest of the sources, the flags and the compiler's version."""
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in SOURCES:
        digest.update(source.read_bytes())
    digest.update(subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout)
    return digest.hexdigest()[:16]
