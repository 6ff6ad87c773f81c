"""The command itself: verbs, exit statuses, errors as one line, signals, closed pipes."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import seg_edge.cli
from seg_edge.cli.main import VERBS, _Signals, load_verb, main
from seg_edge.core import errors
from seg_edge.core.errors import SegEdgeError

COMMAND = [sys.executable, "-m", "seg_edge.cli"]
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SegEdgeError) and kind is not errors.UnknownNameError
]


@pytest.fixture(autouse=True)
def _signals_as_a_terminal_has_them():
    """Tests that run as a background job start with Ctrl-C ignored."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def doctor(monkeypatch):
    """A function that puts another function in the place of what ``seg-edge doctor`` drives."""
    return lambda examine: monkeypatch.setattr("seg_edge.runtime.doctor.doctor", examine)


def one_line(capsys):
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("\n")
    assert printed.err.count("\n") == 1, printed.err
    return printed.err.rstrip()


def raises(error):
    def examine():
        raise error

    return examine


# --- verbs


def test_help_lists_every_verb(capsys):
    """A verb is a module of seg_edge.cli, beside main and what several share."""
    others = {"main", "coercion", "common", "derive", "progress", "recipe", "reports", "runtime_options", "translate"}
    verbs = {path.stem.rstrip("_") for path in Path(seg_edge.cli.__file__).parent.glob("[!_]*.py")} - others
    assert verbs == set(VERBS)
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for verb in verbs:
        assert re.search(rf"^\W*{verb}\s+\w", printed, re.MULTILINE), f"{verb} is not in the help"


@pytest.mark.parametrize("verb", VERBS)
def test_the_table_says_what_the_verb_says_of_itself(verb):
    assert load_verb(verb).help.strip().split("\n")[0] == VERBS[verb]


@pytest.mark.parametrize("words", [["-h"], ["val", "--help"], ["data", "-h"], ["data", "synth", "--help"]])
def test_help_of_a_verb(words, capsys):
    assert main(words) == 0
    assert " ".join(["Usage: seg-edge", *words[:-1]]) in capsys.readouterr().out


def test_no_words_show_the_help(capsys):
    assert main([]) in (0, 2)  # typer's choice, which differs between its releases
    printed = capsys.readouterr()
    assert "Usage: seg-edge" in printed.out + printed.err


@pytest.mark.parametrize("words", [["--version"], ["--debug", "--version"], ["--version", "doctor"]])
def test_version(words, capsys):
    assert main(words) == 0
    assert capsys.readouterr().out == f"seg-edge {seg_edge.__version__}\n"


# --- errors


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_one_line_and_a_status(kind, doctor, capsys):
    doctor(raises(kind("camera 3: gone;\n  expected\n\na picture")))
    assert main(["doctor"]) == (3 if kind is errors.GateError else 1)
    assert one_line(capsys) == "seg-edge: error: camera 3: gone; expected a picture"


def test_an_unknown_name_is_one_line(doctor, capsys):
    doctor(raises(errors.UnknownNameError("engine", "opnvino", ["openvino", "torch"])))
    assert main(["doctor"]) == 1
    assert one_line(capsys).endswith("did you mean 'openvino'? valid names: openvino, torch")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "No such command 'nope'. See: seg-edge --help"),
        (["--nope"], "No such option: --nope. See: seg-edge --help"),
        (["doctor", "--nope"], "No such option: --nope. See: seg-edge doctor --help"),
        (["data", "nope"], "No such command 'nope'. See: seg-edge data --help"),
        (["val", "a.onnx"], "Missing option '--data'. See: seg-edge val --help"),
        (["doctor", "a", "b"], "See: seg-edge doctor --help"),
        (["bench", "a.onnx", "--runs", "many"], "Invalid value for '--runs'"),
    ],
)
def test_wrong_usage_is_one_line_and_2(words, message, capsys):
    assert main(words) == 2
    line = one_line(capsys)
    assert line.startswith("seg-edge: error: ")
    assert message in line


@pytest.mark.parametrize(
    ("words", "near"), [(["vall"], "'val'"), (["data", "snth"], "'synth'"), (["doctor", "--jsn"], "--json")]
)
def test_wrong_usage_names_the_nearest(words, near, capsys):
    assert main(words) == 2
    assert near in one_line(capsys)


def test_an_internal_error_is_one_line_and_70(doctor, capsys):
    doctor(raises(ZeroDivisionError("float\ndivision")))
    assert main(["doctor"]) == 70
    assert one_line(capsys) == (
        "seg-edge: internal error: ZeroDivisionError: float division; run again with --debug for the traceback and report it"
    )


def test_warnings_of_libraries_are_not_shown(doctor, capsys):
    import warnings

    def examine():
        warnings.warn("for developers", DeprecationWarning, stacklevel=1)
        raise SegEdgeError("one line")

    doctor(examine)
    assert main(["doctor"]) == 1
    assert one_line(capsys) == "seg-edge: error: one line"


@pytest.mark.parametrize("words", [["--debug", "doctor"], ["doctor", "--debug"]])
@pytest.mark.parametrize(
    ("error", "status"), [(errors.SourceError("gone"), 1), (errors.GateError("slow"), 3), (ValueError("odd"), 70)]
)
def test_debug_shows_the_traceback_and_keeps_the_status(words, error, status, doctor, capsys):
    doctor(raises(error))
    assert main(words) == status
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert any("in examine" in line for line in lines)
    assert lines[-1].startswith("seg-edge: ")
    assert str(error) in lines[-1]


# --- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_line_and_130(number, doctor, capsys):
    before = signal.getsignal(number)
    doctor(lambda: signal.raise_signal(number))
    assert main(["doctor"]) == 130
    assert one_line(capsys) == "seg-edge: interrupted"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(130)])
def test_a_librarys_way_of_stopping_is_130_too(error, doctor, capsys):
    doctor(raises(error))
    assert main(["doctor"]) == 130
    assert one_line(capsys) == "seg-edge: interrupted"


@pytest.mark.parametrize("error", [RuntimeError("worker died"), errors.InputError("a process was killed"), SystemExit(1)])
def test_what_a_signal_breaks_is_not_reported_as_an_error(error, doctor, capsys):
    """Libraries turn the interruption into errors of their own, and workers of the same process group die of it."""

    def examine():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise error from None

    doctor(examine)
    assert main(["doctor"]) == 130
    assert one_line(capsys) == "seg-edge: interrupted"


def test_a_signal_that_comes_twice_does_not_cut_cleaning_up_short(doctor):
    cleaned = []

    def examine():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)

    doctor(examine)
    assert main(["doctor"]) == 130
    assert cleaned


def test_a_later_signal_counts_again(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with _Signals():
        for after, raised in ((0.0, True), (0.9, False), (1.1, True)):
            clock[0] = 100.0 + after
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                assert raised
            else:
                assert not raised


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_not_lost_in_a_library(number, doctor, capsys):
    """NumPy 2.4 drops most exceptions that a signal raises while this call runs."""
    generator, names = np.random.default_rng(0), ("car", "van", "bus")
    missed = []

    def examine():
        started = time.monotonic()
        # From outside: a thread of this process would send it while this one waits for the interpreter's lock.
        with subprocess.Popen(["sh", "-c", f"sleep 0.05; kill -{int(number)} {os.getpid()}"]):
            while time.monotonic() < started + 0.2:
                generator.choice(names, p=(0.5, 0.25, 0.25))
        while time.monotonic() < started + 3:
            pass
        missed.append(number)

    doctor(examine)
    for _ in range(3):
        assert main(["doctor"]) == 130
        assert one_line(capsys) == "seg-edge: interrupted"
    assert missed == []


def test_what_python_code_catches_is_not_raised_again(doctor, capsys):
    """A verb may catch the interruption, to finish its files in peace."""

    def examine():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
        time.sleep(0.6)
        finished.append(True)
        raise KeyboardInterrupt

    finished = []
    doctor(examine)
    assert main(["doctor"]) == 130
    assert finished
    assert one_line(capsys) == "seg-edge: interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_ignored_signal_stays_ignored(number, doctor, capsys):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        doctor(lambda: signal.raise_signal(number) or raises(SegEdgeError("went on"))())
        assert main(["doctor"]) == 1
        assert one_line(capsys) == "seg-edge: error: went on"
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@contextmanager
def synth(out, *words, before=()):
    """``data synth`` in a process of its own, when it has written its first picture."""
    command = [*before, *COMMAND, "data", "synth", "--out", out, "--workers", 1, *words]
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not list(out.parent.glob(f".{out.name}.*.partial/images/train/*")):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_is_stopped_leaves_nothing(tmp_path, number):
    with synth(tmp_path / "d", "--train", 50_000, "--size", "64x96") as process:
        process.send_signal(number)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (130, "", "seg-edge: interrupted\n")
    assert os.listdir(tmp_path) == []


def test_a_background_job_does_not_hear_ctrl_c(tmp_path):
    """A shell starts it with SIGINT ignored."""
    before = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    with synth(tmp_path / "d", "--train", 12, "--val", 0, "--size", "64x96", before=before) as process:
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert "12 train images" in out
    assert len(list((tmp_path / "d/images/train").iterdir())) == 12


# --- where the output goes


@pytest.mark.parametrize("words", ["doctor", "doctor --json", "--help", "--version"])
def test_a_reader_that_went_away_is_no_error(words):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as output:
        done = subprocess.run([*COMMAND, *words.split()], stdout=output, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_head():
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *COMMAND, "doctor"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("This machine\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_no_internal_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "seg-edge: error: [Errno 28] No space left on device; free some space"


def test_closed_output():
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *COMMAND, "doctor"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("verb", "option"),
    [*((verb, "--json") for verb in ("train", "val", "export", "verify", "run", "bench")), ("bench", "--markdown")],
)
def test_an_output_that_can_not_be_written_is_refused_before_the_work(verb, option, tmp_path, capsys):
    # None of the inputs exists: whoever looks at them first complains about them.
    words = {
        "train": ["--data", "missing"],
        "val": ["missing", "--data", "missing"],
        "run": ["missing", "--source", "missing"],
    }
    assert main([verb, *words.get(verb, ["missing"]), option, str(tmp_path)]) == 1
    assert f"{tmp_path}: is a folder; expected a file's name" in capsys.readouterr().err
