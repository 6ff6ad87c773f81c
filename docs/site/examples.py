"""A Griffe extension, for docstrings as this project writes them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).*)*", re.MULTILINE)
_SECTION = re.compile(r"^Examples?:$", re.MULTILINE)


class Examples(griffe.Extension):
    """Fences each paragraph that begins with ``>>>``; takes the docstrings of their values' types off attributes."""

    def on_attribute(self, *, attr: griffe.Attribute, **_kwargs: Any) -> None:
        # Inspected at run time, a default of 0.5 has the text of float. Fields are described by their class's docstring.
        attr.docstring = None

    def on_object(self, *, obj: griffe.Object, **_kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The docstring with its examples as blocks; one with a section of examples is left to the parser."""
    return text if _SECTION.search(text) else _EXAMPLE.sub(lambda match: f"```pycon\n{match[0]}\n```", text)
