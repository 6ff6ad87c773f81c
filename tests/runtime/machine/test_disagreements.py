"""The table of disagreements, its page, and what doctor says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_edge.runtime.doctor import doctor
from seg_edge.runtime.machine.disagreements import TABLE, Package, affecting, markdown

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("package", "version", "affected"),
    [
        (Package("1.32.0"), "1.9.1", True),
        (Package("1.32.0"), "2.0.0", True),
        (Package("5.0.0", since="4.13"), "4.12.0.88", False),
        (Package("5.0.0", since="4.13"), "4.13.0.90", True),
        (Package("1.32.0", fixed="1.40"), "1.39.2", True),
        (Package("1.32.0", fixed="1.40"), "1.40.0", False),
        (Package("2026.4.1"), "2026.4.1-22982-e213a147257-releases/2026/4", True),
    ],
)
def test_versions(package, version, affected):
    assert package.has(version) is affected


def test_installed_packages():
    found = affecting({"opencv-python-headless": "4.12.0.88", "numpy": "2.0", "torch-pruning": "1.6.1"})
    assert found["torch-pruning 1.6.1"] == ["round-to"]
    assert "video-matrix" in found["opencv-python-headless 4.12.0.88"]
    assert "interlaced-video" not in found["opencv-python-headless 4.12.0.88"]
    assert not any(key.startswith("numpy") for key in found)


def test_doctor_names_the_rows_of_what_is_installed():
    found = doctor()["disagreements"]
    (rows,) = (names for package, names in found.items() if package.startswith("onnxruntime "))
    assert "bias-scale" in rows


def test_the_page_is_generated_from_the_table():
    """To write it again: ``python -c "from seg_edge.runtime.machine.disagreements import markdown; print(markdown())"``."""
    text = (ROOT / "docs" / "disagreements.md").read_text(encoding="utf-8")
    assert text.split("<!-- table -->\n")[1] == "\n" + markdown()


def test_rows_are_complete():
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert row.packages
        assert set(row.rewritten) <= set(row.engines)
        assert not row.source.startswith("findings/") or (ROOT / row.source).is_file()
