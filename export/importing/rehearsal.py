"""A file of unknown origin is read and run once in a process of its own, before this process does.

ONNX Runtime, onnx and protobuf are C++: what a damaged or hostile file breaks there ends the process, and no ``except``
sees it. One helper process imports the libraries, once and lazily; each file gets a fork of it, with limits on time and
memory. The helper ends by itself when it has nothing to do, or when its parent ends.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...core.errors import ModelFileError, SegEdgeError
from ..foreign.options import ImportOptions

#: Seconds that reading and one inference may take, and seconds more for each byte of the file.
SECONDS, SECONDS_PER_BYTE = 60.0, 1 / (8 << 20)
_IDLE_S = 60.0
_COMMAND = "from seg_edge.export.importing.rehearsal import serve; serve()"
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate", "can't allocate", "cannot allocate", "memory limit")


def rehearse(path: Path, options: ImportOptions) -> None:
    """Reads a model file and runs it once in a process of its own. Errors that can be raised are left to the real import.

    Raises:
        ModelFileError: the process was ended by a signal, or went over its limits.
    """
    if not path.is_file():
        return
    seconds = SECONDS + path.stat().st_size * SECONDS_PER_BYTE
    answer = _HELPER.ask({
        "path": str(path.absolute()), "seconds": seconds,
        "options": {
            "input_hw": options.input_hw, "output": options.output, "stride": options.stride, "threads": options.threads,
        },
    })  # fmt: skip
    if answer is None:
        return
    if answer.get("signal"):
        name = signal.Signals(answer["signal"]).name
        raise ModelFileError(
            f"{path}: reading it crashes ONNX Runtime or onnx ({name}); the file is damaged or hostile; export it again"
        )
    if answer.get("late"):
        raise ModelFileError(
            f"{path}: reading it and one inference take longer than {seconds:.0f} s; expected a network that this machine "
            "can run; export it again, or import it at a smaller size with `input_hw`"
        )
    if answer.get("memory"):
        raise ModelFileError(
            f"{path}: one inference needs more than the {answer['memory'] / 2**30:.1f} GiB of memory that are available; "
            "import it at a smaller size with `input_hw`"
        )


# --- this process


class _Helper:
    """The helper process, started by the first question; a process that has ended is replaced."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where no helper can be started, so that nothing is known of the file."""
        with self._lock:
            for _ in range(2):  # the first may have ended, because it was idle
                with suppress(OSError, ValueError):
                    process = self._process or self._start()
                    assert process.stdin is not None
                    assert process.stdout is not None
                    process.stdin.write(json.dumps(question) + "\n")
                    process.stdin.flush()
                    line = process.stdout.readline()
                    if line:
                        return dict(json.loads(line))
                self._end()
        return None

    def close(self) -> None:
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[str]:
        # One thread of BLAS, so that the helper can be forked.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )  # fmt: skip
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.kill()
        process.wait()


_HELPER = _Helper()


# --- the helper process


def serve(task: Callable[[dict[str, Any]], None] | None = None, idle_s: float = _IDLE_S) -> None:
    """Answers the questions on standard input, one JSON object a line, until it closes or nothing comes for ``idle_s``.

    Args:
        task: What a fork does with a question; None reads and runs the file.
    """
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # libraries print there
    task = task or _read_and_run()
    while select.select([sys.stdin], [], [], idle_s)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        question = json.loads(line)
        answers.write(json.dumps(_forked(task, question)) + "\n")
        answers.flush()


def _read_and_run() -> Callable[[dict[str, Any]], None]:
    from ..foreign.source import read_network
    from .stage import understand

    def task(question: dict[str, Any]) -> None:
        path, words = Path(question["path"]), question["options"]
        if words["input_hw"] is not None:
            words["input_hw"] = tuple(words["input_hw"])
        understand(read_network(path), path.name, ImportOptions(**words))

    return task


def _forked(task: Callable[[dict[str, Any]], None], question: dict[str, Any]) -> dict[str, Any]:
    memory = available_memory()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _limited(task, question, memory)
        finally:
            os._exit(code)
    end, wait_s = time.monotonic() + float(question["seconds"]), 0.0005
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return {"signal": os.WTERMSIG(status)}
            return {"memory": memory} if os.WEXITSTATUS(status) == 2 else {}
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return {"late": True}
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, 0.01)


def _limited(task: Callable[[dict[str, Any]], None], question: dict[str, Any], memory: int | None) -> int:
    """Runs a task in this fork; 2 if it found no memory, else 0."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is not None:
        # Data, not address space: threads reserve addresses that they never use.
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    try:
        task(question)
    except MemoryError:
        return 2
    except SegEdgeError as error:
        return 2 if any(text in str(error).lower() for text in _OUT_OF_MEMORY) else 0
    except Exception:  # the import itself meets it again, with its traceback
        return 0
    return 0


def available_memory() -> int | None:
    """Bytes that a process can still take, by the system and the limit of its control group; None where neither says."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) << 10
        with suppress(OSError, ValueError):
            group = Path("/sys/fs/cgroup")
            limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
            free = min(free, max(limit - used, 0))
        return free
    return None
