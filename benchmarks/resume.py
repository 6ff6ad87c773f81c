"""Trainings that are killed (signal 9) again and again, and resumed: nothing is lost, the weights are those of a quiet run.

    python benchmarks/resume.py [--kills 300] [--json FILE]

One training of generated streets runs undisturbed; others are killed, resumed, killed …, each until it is done, until
there were --kills kills, half of them during a save. Then `last.pt` (averaged and current weights, the optimizer's state),
`best.pt` and the table of metrics must equal the undisturbed run's, bit for bit.

- *During a save*: the process died while the checkpoint's temporary file was there, which is left behind and counted; the
  kill is aimed at a random share of the file's length.
- *At a random moment*: uniform in the processor time of a life, from its first instruction to the third epoch after the
  start. Processor time, because the wall's says little on a machine that others use.

A life is the command (`seg-edge train`), forked from this process, which has imported all that it needs and trained
nothing; every --fresh-th one is a new interpreter. Every fourth training has a loader process, of which the undisturbed
one has none. About 12 minutes on a free core. Exit status 1: a training did not go on, or ended otherwise.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import seg_edge.train.trainer  # noqa: F401  (every forked life has it)
from seg_edge.cli.main import main as seg_edge
from seg_edge.core.artefact import write_json
from seg_edge.runtime.machine.system import machine
from seg_edge.train.checkpoint import read_checkpoint

RESULTS = Path(__file__).parent / "results"
EPOCHS = 6
TICKS = os.sysconf("SC_CLK_TCK")
#: Returns True when the process with this number is to be killed.
Moment = Callable[[int], bool]


class Training:
    """One training in a folder of its own, over as many lives as it takes.

    Args:
        data: Dataset folder.
        out: The training's folder.
        workers: Loader processes.
    """

    def __init__(self, data: Path, out: Path, workers: int) -> None:
        self.out = out
        self.words = ["train", "--data", data, "--out", out, "--model", "unet-n", "--epochs", EPOCHS, "--batch", 2]
        self.words += ["--workers", workers, "--device", "cpu", "--precision", "fp32", "--imgsz", "32x64", "--lr", 0.005]
        self.log = out.with_suffix(".log")

    def live(self, moment: Moment, fresh: bool = False) -> int | None:
        """Starts, or goes on where there is something to go on from. Returns the exit status, None after the kill."""
        words = [str(word) for word in self.words]
        words += ["--resume"] if (self.out / "last.pt").exists() else []
        pid = spawned(words, self.log) if fresh else forked(words, self.log)
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            if moment(pid):
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                code = os.waitstatus_to_exitcode(status)
                return None if code == -signal.SIGKILL else code
            time.sleep(0.004)

    def temporary(self) -> list[Path]:
        """Checkpoints that are being written, or were when the process died."""
        names = os.listdir(self.out) if self.out.exists() else []
        return [self.out / name for name in names if name.endswith(".tmp.pt")]

    def result(self) -> dict[str, Any]:
        """All that two equal trainings have in common."""
        last, best = (read_checkpoint(self.out / name) for name in ("last.pt", "best.pt"))
        keys = ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "epoch", "global_step")
        with open(self.out / "metrics.csv", newline="", encoding="utf-8") as file:
            rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
        return {key: last[key] for key in keys} | {"best": best["state_dict"], "metrics": rows}


def forked(words: list[str], log: Path) -> int:
    """The command in a copy of this process; returns its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        status = seg_edge(words)
    finally:
        sys.stdout.flush()
        os._exit(status)


def spawned(words: list[str], log: Path) -> int:
    """The command in a new interpreter; returns its number."""
    with open(log, "ab") as out:
        command = [sys.executable, "-m", "seg_edge.cli", *words]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"OMP_NUM_THREADS": "1"})
    process.returncode = 0  # waited for by its number, as forked ones are
    return process.pid


def processor_s(pid: int) -> float:
    """Processor time of a process so far, seconds; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def never(_pid: int) -> bool:
    return False


def at(limit_s: float) -> Moment:
    """At this processor time."""
    return lambda pid: processor_s(pid) >= limit_s


def in_save(training: Training, after_s: float, sizes: dict[str, int], generator: random.Random) -> Moment:
    """In the first save after a processor time that is seen: when a random share of the file is there, or all of it."""
    old = set(training.temporary())
    share = min(generator.uniform(0, 1.1), 0.99)  # files of early epochs are shorter by a few bytes

    def moment(pid: int) -> bool:
        if processor_s(pid) < after_s:
            return False
        path, looks = None, 0
        while path is None and looks < 50:  # a save takes a few milliseconds
            path = next((path for path in training.temporary() if path not in old), None)
            looks += 1
            time.sleep(0 if path else 0.0005)
        while path is not None:
            try:
                if path.stat().st_size >= share * sizes[stem(path)]:
                    return True
            except FileNotFoundError:  # it has its name already: the next one, then
                return False
            time.sleep(0)
        return False

    return moment


def stem(temporary: Path) -> str:
    """Of the file that it would have become: ``.last.x3k_9a1b.tmp.pt`` → ``last``."""
    return temporary.name.split(".")[1]


def equal(a: Any, b: Any) -> bool:
    """Bit for bit, tensors included."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def undisturbed(training: Training) -> tuple[float, float]:
    """Runs it; returns the processor seconds until the first epoch is kept, and of each further one."""
    first = [0.0]
    ends = [0.0]

    def watch(pid: int) -> bool:
        ends[0] = processor_s(pid) or ends[0]
        if not first[0] and (training.out / "last.pt").exists():
            first[0] = ends[0]
        return False

    status = training.live(watch)
    if status:
        sys.exit(f"the undisturbed training ended with {status}: {training.log.read_text(encoding='utf-8')[-500:]}")
    return first[0], max(0.05, (ends[0] - first[0]) / (EPOCHS - 1))


def torture(work: Path, options: argparse.Namespace) -> bool:
    """Kills until there were enough, and writes after each training what happened; returns whether all went on."""
    generator = random.Random(options.seed)
    synth = ["data", "synth", "--out", work / "data", "--train", 4, "--val", 1, "--size", "64x96", "--seed", 5]
    _, status = os.waitpid(forked([str(word) for word in [*synth, "--workers", 1]], work / "data.log"), 0)
    if status:
        sys.exit(f"seg-edge data synth failed: {(work / 'data.log').read_text(encoding='utf-8')}")
    quiet = Training(work / "data", work / "quiet", workers=0)
    start_s, epoch_s = undisturbed(quiet)
    print(f"undisturbed: {start_s:.1f} s to the first checkpoint, {epoch_s:.2f} s an epoch (processor time)", flush=True)
    reference = quiet.result()
    sizes = {name: (quiet.out / f"{name}.pt").stat().st_size for name in ("best", "last")}
    began = time.perf_counter()
    kills = saves = lives = fresh = resumed = number = 0
    wrong: list[dict[str, Any]] = []
    shares: list[float] = []

    def enough() -> bool:
        return kills >= options.kills and saves >= options.kills // 2

    while not enough():
        number += 1
        training = Training(work / "data", work / f"t{number}", workers=int(number % 4 == 1))
        here, ended = 0, None
        while ended is None:
            lives += 1
            new = bool(options.fresh) and lives % options.fresh == 0
            fresh += new
            old = set(training.temporary())
            if enough():
                moment = never
            elif new or saves < (kills + 1) / 2:
                moment = in_save(training, generator.uniform(0, start_s + 2 * epoch_s), sizes, generator)
            else:
                moment = at(generator.uniform(0, start_s + 3 * epoch_s))
            ended = training.live(moment, fresh=new)
            if ended is None:
                left = [path for path in training.temporary() if path not in old]
                kills, here, saves = kills + 1, here + 1, saves + bool(left)
                shares += [path.stat().st_size / sizes[stem(path)] for path in left]
                print(f"  kill {kills}: training {number}, {'during a save' if left else 'elsewhere'}", flush=True)
        good = ended == 0 and equal(training.result(), reference) and not training.temporary()
        if good:
            resumed += here
        else:
            tail = training.log.read_text(encoding="utf-8")[-300:]
            wrong.append({"training": number, "status": ended, "left": len(training.temporary()), "log": tail})
            print(f"  training {number}: status {ended}, NOT the undisturbed one: {tail}", flush=True)
        write_json(options.json, {
            "command": f"python benchmarks/resume.py --kills {options.kills} --fresh {options.fresh} --seed {options.seed}",
            "machine": machine(), "seconds": time.perf_counter() - began,
            "kills": kills, "during_a_save": saves, "share_of_the_file_written": shares, "trainings": number,
            "lives": lives, "new_interpreters": fresh, "resumed": resumed, "wrong": wrong,
            "processor_s": {"to_the_first_checkpoint": start_s, "epoch": epoch_s},
            "gates": [{"name": "kills whose training went on to the undisturbed one's weights, bit for bit",
                       "limit": options.kills, "value": resumed, "passed": resumed == kills >= options.kills}],
        })  # fmt: skip
    print(f"{options.json}: {resumed} of {kills} kills resumed, {saves} during a save")
    return resumed == kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--fresh", type=int, default=30, help="every N-th life is a new interpreter; 0: none")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, default=RESULTS / "resume.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        passed = torture(Path(name), options)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
