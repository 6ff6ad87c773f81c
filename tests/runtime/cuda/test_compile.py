"""nvcc compiles the CUDA kernels for every GPU generation that is meant to run them."""

from __future__ import annotations

import subprocess

import pytest

from seg_edge.core.errors import EngineError
from seg_edge.runtime.cuda import compile as compiling
from seg_edge.runtime.cuda.compile import cubin, find_nvcc

NVCC = find_nvcc()
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")
NAMES = [b"se_cuda_resize", b"se_cuda_corners", b"se_cuda_upsample", b"se_cuda_blend"]


def known_architectures():
    return subprocess.run([str(NVCC), "--list-gpu-code"], capture_output=True, text=True, check=False).stdout.split()


@needs_nvcc
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_120"])
def test_every_architecture(architecture, tmp_path):
    if architecture not in known_architectures():
        pytest.skip(f"this nvcc does not know {architecture}")
    file = cubin(architecture, tmp_path)
    code = file.read_bytes()
    assert code[:4] == b"\x7fELF"
    for name in NAMES:
        assert name in code
    # Nothing is fused behind our back, and the code is kept.
    before = file.stat().st_mtime_ns
    assert cubin(architecture, tmp_path) == file
    assert file.stat().st_mtime_ns == before


@needs_nvcc
def test_products_and_sums_are_rounded_one_by_one(tmp_path):
    listing = tmp_path / "kernels.ptx"
    includes = [f"-I{source.parent}" for source in compiling.SOURCES]
    words = [str(NVCC), "--ptx", "-arch=sm_80", *includes, str(compiling.SOURCES[0]), "-o", str(listing)]
    subprocess.run(words, check=True)  # without --fmad=false: the header alone must do it
    text = listing.read_text()
    assert "mul.rn.f32" in text
    assert "add.rn.f32" in text
    assert "div.rn.f32" in text
    assert "fma" not in text


@needs_nvcc
def test_a_compiler_that_fails_is_quoted(tmp_path):
    with pytest.raises(EngineError, match="CUDA kernels: nvcc fails for sm_1: .*sm_1"):
        cubin("sm_1", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "find_nvcc", lambda: None)
    with pytest.raises(EngineError, match="CUDA kernels: nvcc is not installed; install the CUDA toolkit"):
        cubin("sm_80", tmp_path)
