"""The documentation's site: what MkDocs can't read from docs/ as it lies there. MkDocs loads this file (mkdocs.yml).

- A page for each verb, from the command's own options, and one for each importable stage, from its docstrings.
- Pages of the repository outside docs/ (:data:`MIRRORED`) become pages of the site.
- Links are written for a reader of the repository. Those that leave docs/ lead to the mirrored page, or to the file in the
  repository. A link to nothing stays as it is, and MkDocs, which is strict here, stops.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from seg_edge.cli.main import VERBS, load_verb

ROOT = Path(__file__).parents[2]
#: Page of the repository → page of the site.
MIRRORED = {
    "benchmarks/README.md": "project/benchmarks.md",
    "models/README.md": "project/models.md",
    "findings/README.md": "project/findings.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
}
#: Importable stage → what its page says first.
STAGES = {
    "seg_edge": "One model on frames, live video, and what both need.",
    "seg_edge.datasets": "Datasets: opened, checked, converted, generated.",
    "seg_edge.train": "Trainings.",
    "seg_edge.export": "The chain from a checkpoint, or a network of another tool, to an artefact.",
    "seg_edge.measure": "Evaluation, benchmarks, comparisons.",
    "seg_edge.runtime": "What an edge device imports: no torch.",
    "seg_edge.batch": "Images in bulk.",
    "seg_edge.serve": "The service.",
}
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^(```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated and the mirrored pages."""
    pages = {f"commands/{verb}.md": command_page(verb) for verb in VERBS}
    shown: dict[object, str] = {}
    pages |= {f"api/{name}.md": api_page(name, text, shown) for name, text in STAGES.items()}
    pages |= {target: (ROOT / source).read_text(encoding="utf-8") for source, target in MIRRORED.items()}
    for target, text in pages.items():
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links that leave docs/ to a page of the site or to the file in the repository."""
    mirrored = {target: source for source, target in MIRRORED.items()}
    source = mirrored.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def led(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        return before + site_link(link, source, page.file.src_uri, config.repo_url or "") + after

    parts = _FENCE.split(markdown)  # every second one is a block of code
    return "".join(part if index % 2 else _LINK.sub(led, part) for index, part in enumerate(parts))


def site_link(link: str, source: str, page: str, repository: str) -> str:
    """The link on the site.

    Args:
        link: As written; a web address, an anchor of the page and a link to nothing stay as they are.
        source: File in the repository that holds it, relative to its root.
        page: That page on the site, relative to docs/.
        repository: Address of the repository.
    """
    path, hash_sign, anchor = link.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return link
    wanted = os.path.normpath(os.path.join(os.path.dirname(source), path))
    if wanted in MIRRORED:
        target = MIRRORED[wanted]
    elif wanted.startswith("docs/") and (ROOT / wanted).is_file() and not wanted.endswith(".ipynb"):
        target = wanted.removeprefix("docs/")
    elif (ROOT / wanted).exists():
        kind = "tree" if (ROOT / wanted).is_dir() else "blob"
        return f"{repository.rstrip('/')}/{kind}/main/{wanted}{hash_sign}{anchor}"
    else:
        return link
    return os.path.relpath(target, os.path.dirname(page) or ".") + hash_sign + anchor


def command_page(verb: str) -> str:
    """A verb's page: its text, arguments and options, as the command itself says them."""
    command = load_verb(verb)
    lines = [f"# seg-edge {verb}", ""]
    groups = getattr(command, "commands", None)
    if groups is None:
        return "\n".join([*lines, *_command_lines(command, verb)])
    lines += [command.help or VERBS[verb], ""]
    for name, part in groups.items():
        lines += [f"## seg-edge {verb} {name}", "", *_command_lines(part, f"{verb} {name}")]
    return "\n".join(lines)


def _command_lines(command: Any, name: str) -> list[str]:
    context = command.context_class(command, info_name=f"seg-edge {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [_plain(command.help or ""), "", "```console", f"seg-edge {name} {usage}", "```", ""]
    for title, kind in (("Argument", "argument"), ("Option", "option")):
        rows = [param.get_help_record(context) for param in command.params if param.param_type_name == kind]
        rows = [row for row in rows if row is not None]
        if rows:
            lines += [f"| {title} | |", "|---|---|"]
            lines += [f"| {_code(what)} | {_cell(text)} |" for what, text in rows]
            lines.append("")
    return lines


def _code(what: str) -> str:
    return "`" + what.replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    return " ".join(_plain(text).split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """Text of a help, safe in Markdown: what looks like a tag or a link is none."""
    return re.sub(r"([<>\[\]*_`])", r"\\\1", text)


def api_page(name: str, text: str, shown: dict[object, str]) -> str:
    """A stage's page: each public name by its home, where its docstring stands.

    Args:
        name: The stage's module.
        text: What the page says first.
        shown: Public object → stage whose page has it; added to. Later pages lead there.
    """
    stage = import_module(name)
    lines = [f"# {name}", "", text, ""]
    for public in stage.__all__:
        value = getattr(stage, public)
        home = getattr(value, "__module__", None)
        if public.startswith("__") or home is None:
            continue
        anchor = f"{home}.{value.__qualname__}"
        if value in shown:
            lines += [f"`{public}`: see [{shown[value]}]({shown[value]}.md#{anchor}).", ""]
            continue
        shown[value] = name
        lines += [f"::: {anchor}", "    options:", f"      heading: {public}", ""]
    return "\n".join(lines)
