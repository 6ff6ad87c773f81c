"""libsegedge as a C programmer gets it: installed, found by pkg-config and by CMake, its example compiled and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seg_edge
from seg_edge.core.labels import CAMVID
from seg_edge.runtime.frame import kernels

ROOT = Path(__file__).parents[3]
CSRC = ROOT / "runtime" / "csrc"
EXAMPLE = CSRC / "example" / "overlay.c"
HEIGHT, WIDTH, LOGITS_CHW, ALPHA = 270, 333, (11, 34, 42), 0.4


def tool(name: str) -> str:
    path = shutil.which(name, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*words: object, **options: Any) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=240, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where libsegedge is installed: moved after the installation, for the tree must not name its own place."""
    cmake, folder = tool("cmake"), tmp_path_factory.mktemp("c")
    tool("cc")
    # Debug compiles in a quarter of the time, and must give the same bytes as the Release build behind Python.
    run(cmake, "-S", CSRC, "-B", folder / "build", "-DSEG_EDGE_WERROR=ON", "-DCMAKE_BUILD_TYPE=Debug")
    run(cmake, "--build", folder / "build")
    run(cmake, "--install", folder / "build", "--prefix", folder / "first")
    shutil.rmtree(folder / "build")
    return (folder / "first").rename(folder / "moved")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[object], Path, Any]:
    """The example's arguments, where it writes, and what it must write: uint8 (H, W, 3), RGB."""
    folder, rng = tmp_path_factory.mktemp("case"), np.random.default_rng(5)
    frame = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    logits = rng.normal(size=LOGITS_CHW).astype(np.float32)
    logits[3] += 1.5
    frame.tofile(folder / "frame")
    logits.tofile(folder / "logits")
    CAMVID.palette_bgr.tofile(folder / "palette")
    sizes = f"{HEIGHT}x{WIDTH}", "x".join(map(str, LOGITS_CHW))
    words = [folder / "frame", sizes[0], folder / "logits", sizes[1], folder / "palette", folder / "out.ppm", ALPHA]
    expected = kernels.upsample_overlay(logits, frame, CAMVID.palette_bgr, ALPHA)[..., ::-1]
    assert (expected != frame[..., ::-1]).mean() > 0.9
    return words, folder / "out.ppm", expected


def check(program: Path, case: tuple[list[object], Path, Any], **environment: str) -> None:
    words, out, expected = case
    out.unlink(missing_ok=True)
    said = run(program, *words, env={**os.environ, **environment})
    assert f"{HEIGHT}x{WIDTH}, 11 classes, {kernels.available_isas()[-1]}, " in said
    header = f"P6\n{WIDTH} {HEIGHT}\n255\n".encode()
    written = out.read_bytes()
    assert written.startswith(header)
    pixels = np.frombuffer(written[len(header) :], np.uint8).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(pixels, expected)


def pkg_config(prefix: Path, *words: str) -> list[str]:
    (folder,) = prefix.glob("lib*/**/pkgconfig")
    return run(tool("pkg-config"), *words, "segedge", env={**os.environ, "PKG_CONFIG_PATH": str(folder)}).split()


def test_a_program_through_pkg_config(prefix: Path, case: Any, tmp_path: Path) -> None:
    program, flags = tmp_path / "overlay", pkg_config(prefix, "--cflags", "--libs")
    run(tool("cc"), "-std=c11", "-Wall", "-Wextra", "-Werror", EXAMPLE, "-o", program, *flags)
    (library,) = prefix.glob("lib*/**/libsegedge.so")
    check(program, case, LD_LIBRARY_PATH=str(library.parent))
    check(program, case, LD_LIBRARY_PATH=str(library.parent), SEG_EDGE_THREADS="3")
    assert pkg_config(prefix, "--modversion") == [seg_edge.__version__]


def test_programs_through_cmake(prefix: Path, case: Any, tmp_path: Path) -> None:
    """The shared library and the static one."""
    cmake = tool("cmake")
    run(cmake, "-S", EXAMPLE.parent, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}")
    run(cmake, "--build", tmp_path)
    check(tmp_path / "overlay", case)
    check(tmp_path / "overlay_static", case)


def test_the_example_refuses_what_does_not_fit(prefix: Path, case: Any, tmp_path: Path) -> None:
    (library,) = prefix.glob("lib*/**/libsegedge.a")
    program = tmp_path / "overlay"
    run(tool("cc"), EXAMPLE, f"-I{prefix}/include", library, "-pthread", "-o", program)
    words = [str(word) for word in case[0]]
    for change, text in (
        ({1: "271x333"}, "shorter than the sizes given"),
        ({1: "269x333"}, "longer than the sizes given"),
        ({1: "0x333"}, "sides must be 1 to 16384"),
        ({3: "11x34"}, "overlay FRAME HEIGHTxWIDTH"),
        ({0: "/nonexistent"}, "No such file"),
        ({6: "1.5"}, "must be 0 to 1"),
    ):
        wrong = [change.get(i, word) for i, word in enumerate(words)]
        done = subprocess.run([str(program), *wrong], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert text in done.stderr, (change, done.stderr)
        assert len(done.stderr.splitlines()) == 1


def test_the_library_shows_its_interface_and_nothing_else(prefix: Path) -> None:
    header = (CSRC / "segedge.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^SE_API [^;(]*?\b(se_\w+)\(", header, re.MULTILINE))
    assert {"se_paint", "se_resize", "se_kernels_get"} <= declared
    assert set(re.findall(r"^\w[^(#/]*\b(se_\w+)\(", header, re.MULTILINE)) == declared
    (library,) = prefix.glob("lib*/**/libsegedge.so")
    listed = run(tool("nm"), "--dynamic", "--defined-only", library).splitlines()
    assert {line.split()[-1] for line in listed} == declared


def test_the_header_is_c_plus_plus_too(prefix: Path, tmp_path: Path) -> None:
    source = tmp_path / "user.cpp"
    source.write_text('#include <segedge.h>\nint main() { return se_threads() > 0 && se_kernels_get("scalar") ? 0 : 1; }\n')
    (library,) = prefix.glob("lib*/**/libsegedge.a")
    program = tmp_path / "user"
    run(tool("c++"), "-Wall", "-Wextra", "-Werror", source, f"-I{prefix}/include", library, "-pthread", "-o", program)
    run(program)


def test_one_version() -> None:
    header = (CSRC / "segedge.h").read_text(encoding="utf-8")
    assert f'#define SE_VERSION "{seg_edge.__version__}"' in header
