"""The fuzz targets of tests/runtime/csrc reach all of segedge.h, and are named alike wherever they are listed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CSRC = Path(__file__).parents[1] / "csrc"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def entries() -> list[str]:
    (line,) = re.findall(r"#define FUZZ_ENTRIES\(X\) (.*)", read(CSRC / "fuzz_input.h").replace("\\\n", " "))
    return re.findall(r"X\((\w+)\)", line)


def test_every_function_of_the_header_is_called() -> None:
    header = read(ROOT / "runtime" / "csrc" / "segedge.h")
    declared = set(re.findall(r"^SE_API [^;(]*?\b(se_\w+)\(", header, re.MULTILINE))
    parts = ("names", "resize", "paint", "confidence", "backdrop", "squares", "rle")
    calls = "".join(read(CSRC / f"fuzz_{part}.c") for part in parts)
    assert len(declared) >= 17
    assert {name for name in declared if not re.search(rf"\b{name}\(|\b\w+\({name}\b", calls)} == set()


def test_one_list_of_entries() -> None:
    assert entries() == re.findall(r"\w+", re.findall(r"set\(entries (.*)\)", read(CSRC / "CMakeLists.txt"))[0])
    assert [f"{entry}.hex" for entry in sorted(entries())] == sorted(path.name for path in (CSRC / "corpus").iterdir())
    defined = {
        word for path in CSRC.glob("fuzz_*.c") for word in re.findall(r"^void fuzz_(\w+)\(", read(path), re.MULTILINE)
    }
    assert defined == set(entries())


@pytest.mark.parametrize("entry", entries())
def test_the_corpus_is_readable_and_small(entry: str) -> None:
    lines = read(CSRC / "corpus" / f"{entry}.hex").splitlines()
    assert 3 <= len(lines) <= 64
    assert len(set(lines)) == len(lines)
    assert all(1 <= len(bytes.fromhex(line)) <= 160 for line in lines)


def test_an_unknown_entry_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    words = [sys.executable, str(CSRC / "fuzz.py"), "paint", "--build", str(tmp_path / "build")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "ENTRY must be one of isas, threads, resize_rows" in done.stderr
    assert not (tmp_path / "build").exists()
