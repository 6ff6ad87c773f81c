"""``seg-edge data``"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_edge.cli.main import main
from seg_edge.datasets.dataset import read_image
from seg_edge.datasets.opening import open_dataset


def run(out: Path, words: str) -> int:
    return main(["data", "synth", "--out", str(out), *words.split()])


def test_writes_dataset_and_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    assert run(out, "--train 2 --val 1 --size 48x64 --domain fog,dusk --video 0.2 --fps 10") == 0
    assert "2 train + 1 val images, 64x48, fog, dusk, video.mp4 of 0.2 s" in capsys.readouterr().out.replace("\n", " ")
    assert open_dataset(out, "train").read(0)[0].shape == (48, 64, 3)
    assert (out / "video.mp4").stat().st_size > 0
    assert len(list((out / "video_labels").iterdir())) == 2


def test_domains_may_be_repeated(tmp_path: Path) -> None:
    assert run(tmp_path / "d", "--train 7 --val 0 --size 32x48 --domain day --domain rain") == 0
    assert {path.stem.split("_")[1] for path in open_dataset(tmp_path / "d", "train").images} == {"day", "rain"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--size 480", None),  # a square is fine as a size; the folder below is what fails
        ("--size big", "--size: expected HEIGHTxWIDTH"),
        ("--size 8x8", "each 32 to 4096 pixels"),
        ("--domain rian", "did you mean 'rain'"),
        ("--domain ,", "--domain: expected at least one domain"),
        ("--video -1", "--video: expected 0 to 36000 seconds"),
        ("--train 0 --val 0", "not all 0"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, text: str | None) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    target = "full" if text is None else "new"
    assert run(tmp_path / target, words) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("seg-edge: error: ")
    assert (text or "the folder is not empty") in lines[0]
    assert not (tmp_path / "new").exists()


def test_interrupt_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seg_edge.datasets.synth import writer

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "write_labels", stop)
    assert run(tmp_path / "d", "--train 1 --val 0 --size 32x48") == 130
    assert list(tmp_path.iterdir()) == []


def test_check_prints_and_writes_what_it_found(street: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    sheet, report = street / "sheet.png", street / "check.json"
    assert main(["data", "check", str(street), "--sheet", str(sheet), "--json", str(report)]) == 0
    out = capsys.readouterr().out
    for part in (
        "images/<split> and labels/<split>",
        "train: 4 images, 96x128 (4)",
        "val: 2 images, 96x128 (2)",
        "bicyclist",
    ):
        assert part in out
    found = json.loads(report.read_text())
    assert [(split["split"], split["images"]) for split in found["splits"]] == [("train", 4), ("val", 2)]
    assert read_image(sheet).shape[1] == 4 * 320


def test_check_fails_where_a_training_would(street: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    victim = open_dataset(street, "train").images[1]
    victim.write_bytes(b"no picture")
    assert main(["data", "check", str(street)]) == 1
    out, err = capsys.readouterr()
    assert f"error: {victim}: not a readable image" in out
    assert err.splitlines() == [
        f"seg-edge: error: data check: {street}: 1 of its files can't be trained on; the first: {victim}: not a readable "
        "image (10 bytes); replace or remove it"
    ]


def test_check_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path / "missing")]) == 1
    assert "missing: no such folder" in capsys.readouterr().err


def test_compose_says_what_it_made_and_what_is_missing(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rooms").mkdir()
    words = ["data", "compose", str(street), "--out", str(tmp_path / "out"), "--train", "2", "--val", "0", "--size", "32x48"]
    assert main([*words, "--things", "car", "--background", str(tmp_path / "rooms")]) == 1
    assert "no images; expected files ending in .jpg" in capsys.readouterr().err
    assert main([*words, "--things", "car", "--empty", "2"]) == 1
    assert "--empty" in capsys.readouterr().err
    assert main([*words, "--things", "building", "--background", str(street / "images")]) == 0
    said = capsys.readouterr().out
    assert "out: 2 train images, 32x48" in said
    assert len(list((tmp_path / "out" / "labels" / "train").iterdir())) == 2
