"""libFuzzer on every entry of segedge.h, under the address and undefined-behaviour sanitizers (clang): `make fuzz`.

    fuzz.py [--seconds 60] [--build build/fuzz] [--keep N] [ENTRY ...]

Each entry starts from corpus/ENTRY.hex (an input a line) and what earlier runs left in the build folder. A finding is
printed with its line for the corpus, which `replay` (`make asan`) repeats with any compiler; the exit status is then 1.
`--keep N` rewrites corpus/ENTRY.hex as N of those that libFuzzer's merge picks, which reach what all of them reach.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENTRIES = (
    "isas",
    "threads",
    "resize_rows",
    "resize_image",
    "paint_rows",
    "paint_image",
    "confidence",
    "backdrop",
    "squares",
    "rle",
)  # fuzz_input.h: FUZZ_ENTRIES
LONGEST = 160  # bytes of an input: past its arguments (about 40) a few contents


def build(folder: Path, cmake: str, clang: str) -> None:
    configure = [
        cmake,
        "-S",
        str(HERE),
        "-B",
        str(folder),
        "-G",
        "Unix Makefiles",
        f"-DCMAKE_C_COMPILER={clang}",
        "-DFUZZER=ON",
    ]
    for words in (configure, [cmake, "--build", str(folder)]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"fuzz: {' '.join(words)} failed:\n{done.stdout}{done.stderr}")


def seed(entry: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for line in (HERE / "corpus" / f"{entry}.hex").read_text(encoding="ascii").split():
        data = bytes.fromhex(line)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def fuzz(build: Path, entry: str, seconds: int) -> bool:
    """Runs one entry; returns whether it found nothing."""
    corpus, found = build / "corpus" / entry, build / "found" / entry
    seed(entry, corpus)
    shutil.rmtree(found, ignore_errors=True)
    found.mkdir(parents=True)
    words = [
        str(build / f"fuzz_{entry}"),
        str(corpus),
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        "-len_control=0",
    ]
    words += [f"-artifact_prefix={found}/", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    ran = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode == 0 and ran:
        print(f"fuzz: {entry}: {ran[1]} inputs in {seconds} s, no finding", flush=True)
        return True
    print(f"fuzz: {entry}: FINDING\n{done.stderr[-6000:]}")
    for path in sorted(found.iterdir()):
        print(f"fuzz: add this line to tests/runtime/csrc/corpus/{entry}.hex: {path.read_bytes().hex()}")
    return False


def keep(build: Path, entry: str, most: int) -> None:
    """Rewrites the recorded corpus: about `most` of the inputs that libFuzzer's merge picks."""
    merged = build / "merged" / entry
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    words = [str(build / f"fuzz_{entry}"), "-merge=1", f"-max_len={LONGEST}", str(merged), str(build / "corpus" / entry)]
    subprocess.run(words, capture_output=True, check=True)
    inputs = sorted((path.read_bytes() for path in merged.iterdir()), key=lambda data: (len(data), data))
    step = max(1, -(-len(inputs) // most))  # every n-th: long inputs stay too
    lines = [data.hex() for data in inputs[::step] if data]
    (HERE / "corpus" / f"{entry}.hex").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    print(f"fuzz: {entry}: {len(lines)} of {len(inputs)} inputs kept")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help=f"of {', '.join(ENTRIES)}; all without")
    parser.add_argument("--seconds", type=int, default=60, help="for each entry")
    parser.add_argument("--build", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--keep", type=int, default=0, metavar="N", help="then rewrite the corpus as at most N inputs each")
    parser.add_argument("--cmake", default="cmake")
    parser.add_argument("--clang", default="clang")
    options = parser.parse_args()
    for entry in options.entries:
        if entry not in ENTRIES:
            parser.error(f"ENTRY must be one of {', '.join(ENTRIES)}, got '{entry}'")
    build(options.build, options.cmake, options.clang)
    entries = options.entries or ENTRIES
    clean = [fuzz(options.build, entry, options.seconds) for entry in entries]
    if all(clean) and options.keep:
        for entry in entries:
            keep(options.build, entry, options.keep)
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
