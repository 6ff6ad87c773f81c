"""The base install on 64-bit Arm, emulated on an x86-64 machine: installed, tested, its masks compared with this machine's.

    python benchmarks/aarch64.py [--root build/aarch64-root] [--only STEP ...] [--json benchmarks/results/aarch64.json]

Debian 12's arm64 packages are unpacked into a folder (not configured: their scripts take very long under the emulator), the
aarch64 wheels that pip chooses for the base install are put beside them, and within that folder pip builds and installs
seg-edge as `docs/jetson.md` says, with Arm's own gcc and Python. Then run there: doctor, predict, run, bench, tests of the
kernels. The emulator (qemu-user) is registered in a user namespace of its own, so nothing of the machine changes. This says
nothing of speed.

Needs root, Linux 6.7 or newer, and (Debian) debootstrap, qemu-user-static, util-linux; 3 GB, and tens of minutes. Exits with
1 where a step fails or a mask differs. `--only` runs some steps again and keeps the record of the others.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from seg_edge.core.artefact import write_json
from seg_edge.runtime.machine.system import machine

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = "python3,python3-venv,python3-dev,gcc,g++,make,libgl1,libglib2.0-0"
SITE = Path("opt/venv/lib/python3.11/site-packages")
# onnxruntime 1.31.1 crashes while it is imported under qemu 7.2 (1.23.2 and 1.20.1 do not); on a board it was not tried.
EXTRA = ["onnxruntime<1.24", "pip", "scikit-build-core>=0.10", "cmake", "pytest", "pytest-timeout", "onnx"]
PLATFORMS = ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"]
TESTS = [f"tests/runtime/test_kernels{part}.py" for part in ("", "_input", "_paint", "_refusals")]
MODEL = "tests/data/street.int8.onnx"
COMMANDS = {
    "install": "/usr/bin/python3 -m venv --without-pip /opt/venv && python -m pip install --no-deps --no-build-isolation .",
    "versions": "python -c 'import platform, numpy, cv2, onnxruntime; from seg_edge.runtime.frame import kernels; "
    "print(platform.machine(), platform.python_version(), numpy.__version__, cv2.__version__, onnxruntime.__version__, "
    "*kernels.available_isas())'",
    "doctor": "seg-edge doctor",
    "predict": f"seg-edge predict {MODEL} --source /frames --out /t/out --engine onnxruntime",
    "run": f"seg-edge run {MODEL} --source /frames --sink none --engine onnxruntime",
    "bench": f"seg-edge bench {MODEL} --engine onnxruntime --threads 1 --duration 1",
    "tests": f"cd /t && python -m pytest -p no:cacheprovider --timeout=0 {' '.join(TESTS)}",
}

MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# Waits for its user map, then: an emulator for arm64 programs, the file systems that programs expect, and into the folder.
OUTSIDE = 'read -r go && exec unshare --mount --pid --fork --kill-child sh -c "$0" "$@"'
INSIDE = f"""set -e
root=$0
mkdir -p "$root/binfmt"
mount -t binfmt_misc none "$root/binfmt"  # stays: its entries live as long as it
printf '%s' ':arm64:M::{MAGIC}:{MASK}:'"$QEMU:OCF" > "$root/binfmt/register"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs dev "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
exec chroot "$root" "$@"
"""


def inside(root: Path, command: str) -> tuple[int, str]:
    """Runs a shell command in the arm64 folder; returns its exit status and what it printed, which is shown too."""
    environment = {"PATH": "/opt/venv/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    environment |= {"CC": "gcc", "PIP_NO_INDEX": "1", "QEMU": str(shutil.which("qemu-aarch64-static"))}
    words = ["unshare", "--user", "sh", "-c", OUTSIDE, INSIDE, str(root), "/bin/sh", "-c", f"cd /src && {command}"]
    child = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert child.stdin is not None
    assert child.stdout is not None
    own = os.readlink("/proc/self/ns/user")
    while os.readlink(f"/proc/{child.pid}/ns/user") == own and child.poll() is None:
        pass  # until it has unshared
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{child.pid}/{kind}").write_text("0 0 65536", encoding="ascii")
    child.stdin.write("go\n")
    child.stdin.close()
    said = ""
    for line in child.stdout:
        print(line, end="", flush=True)
        said += line
    return child.wait(), said


def make_root(root: Path) -> None:
    if (root / "etc" / "passwd").exists() and (root / SITE / "numpy").exists():
        return
    options = ["--foreign", "--arch=arm64", "--variant=minbase", f"--include={PACKAGES}"]
    subprocess.run(["debootstrap", *options, "bookworm", str(root), "http://deb.debian.org/debian"], check=True)
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
        unpack = ["tar", "-C", str(root), "--keep-directory-symlink", "--overwrite", "-xf", "-"]
        subprocess.run(unpack, stdin=content.stdout, check=True)
        if content.wait():
            sys.exit(f"aarch64: {package} can't be unpacked; remove {root} and try again")
    if (root / "proc").is_symlink():  # so debootstrap leaves it where it may not mount
        (root / "proc").unlink()
        (root / "proc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
    (root / "etc/group").write_text("root:x:0:\n", encoding="ascii")
    needs = [line for line in requires("seg-edge") or () if "extra ==" not in line]
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(root / SITE), "--python-version", "3.11"]
    words += ["--only-binary=:all:", *(word for platform in PLATFORMS for word in ("--platform", platform))]
    subprocess.run([*words, *needs, *EXTRA], check=True)
    (root / "usr/bin/cmake").unlink(missing_ok=True)
    (root / "usr/bin/cmake").symlink_to(f"/{SITE}/cmake/data/bin/cmake")


def copy_sources(root: Path) -> None:
    shutil.rmtree(root / "src", ignore_errors=True)
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        (root / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / "src" / name)
    # Tests see the installed package, not the sources beside them.
    (root / "t").mkdir(exist_ok=True)
    shutil.copytree(ROOT / "tests", root / "t/tests", dirs_exist_ok=True)
    shutil.copy2(ROOT / "pyproject.toml", root / "t")


def make_frame(folder: Path) -> None:
    """A 1280x720 frame with areas of many sizes, the same everywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), np.uint8)
    frame = np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 9), None, 0, 255, cv2.NORM_MINMAX))  # type: ignore[call-overload]
    frame[:300] = frame[:300] // 2 + 120
    cv2.imwrite(str(folder / "frame.png"), frame)


def compare_masks(root: Path, folder: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "seg_edge.cli", "predict", str(ROOT / MODEL), "--source", str(root / "frames")]
    subprocess.run([*words, "--out", str(folder), "--engine", "onnxruntime"], check=True)
    here = cv2.imread(str(folder / "masks/frame.png"), cv2.IMREAD_UNCHANGED)
    there = cv2.imread(str(root / "t/out/masks/frame.png"), cv2.IMREAD_UNCHANGED)
    if here is None or there is None or here.shape != there.shape:
        return {"equal": False, "note": "no mask was written, or one of another size"}
    equal = here == there
    return {"equal": bool(equal.all()), "pixel_agreement": float(equal.mean()), "classes": len(np.unique(here))}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT / "build/aarch64-root", help="folder of the arm64 system; kept")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, help="steps to run")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/aarch64.json")
    options = parser.parse_args()
    root: Path = options.root.resolve()
    for tool in ("debootstrap", "qemu-aarch64-static", "unshare"):
        if shutil.which(tool) is None:
            sys.exit(f"aarch64: {tool} not found; Debian: apt-get install debootstrap qemu-user-static util-linux")
    if os.geteuid() != 0:
        sys.exit("aarch64: making an arm64 system takes root; run it as root")
    make_root(root)
    copy_sources(root)
    make_frame(root / "frames")
    old = json.loads(options.json.read_text(encoding="utf-8")) if options.only and options.json.exists() else {}
    steps: dict[str, Any] = old.get("steps", {})
    for name in options.only or COMMANDS:
        print(f"--- {name}: {COMMANDS[name]}", flush=True)
        code, said = inside(root, COMMANDS[name])
        steps[name] = {"command": COMMANDS[name], "passed": code == 0, "last_line": (said.split("\n")[-2:] or [""])[0]}
    with TemporaryDirectory() as folder:
        masks = compare_masks(root, Path(folder))
    emulator = subprocess.run(["qemu-aarch64-static", "--version"], capture_output=True, text=True, check=True).stdout
    passed = bool(masks["equal"]) and all(steps.get(name, {}).get("passed") for name in COMMANDS)
    record = {"machine": machine(), "emulator": emulator.splitlines()[0], "passed": passed, "steps": steps, "masks": masks}
    record["note"] = "under an emulator: says nothing of speed"
    write_json(options.json, record)
    print(f"{options.json}: {'passed' if passed else 'FAILED'}; masks {masks}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
