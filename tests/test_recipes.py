"""Recipes for machines that tests don't have: container images, wheels, issue forms. What they name must exist here."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seg_edge.cli.main import VERBS

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted((ROOT / "docker").iterdir()), ids=lambda file: file.name)
def test_dockerfile(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    steps = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert {step.split()[0] for step in steps} <= {
        "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert steps[0].startswith("FROM ")
    assert steps[-2] == 'ENTRYPOINT ["seg-edge"]'
    (verb,) = re.findall(r'^CMD \["([a-z]+)"', steps[-1])
    assert verb in VERBS
    extras = {name for found in re.findall(r"(?:src|whl\))\[([a-z,]+)\]", text) for name in found.split(",")}
    assert extras
    assert extras <= set(PROJECT["project"]["optional-dependencies"])
    for step in steps:  # a word that is not closed ends the build late
        shlex.split(step.partition(" ")[2])


def test_wheels_are_tried_by_a_command_that_exists() -> None:
    command = PROJECT["tool"]["cibuildwheel"]["test-command"]
    assert "seg-edge run " in command
    assert PROJECT["tool"]["scikit-build"]["wheel"]["py-api"] == "cp311"
    assert "cp311-" in PROJECT["tool"]["cibuildwheel"]["build"]


@pytest.mark.parametrize("file", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda file: file.name)
def test_forms_and_workflows_parse(file: Path) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    if "body" in document:
        assert all(part["attributes"]["label"] for part in document["body"])
    elif "jobs" in document:
        steps = [step for job in document["jobs"].values() for step in job["steps"]]
        assert all("uses" in step or "run" in step for step in steps)
