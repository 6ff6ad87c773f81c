"""A model as a service: images in, masks out, over HTTP; for programs and for a browser. Needs the extra ``serve``.

>>> from seg_edge.serve import ServeOptions, create_app
>>> app = create_app("unet-s-camvid", ServeOptions(max_megapixels=8))  # an ASGI application, for any server

Or, with the server that knows how to drain: ``serve("unet-s-camvid", ServeOptions(port=8000))``; in a thread, as long as a
block runs: ``with serving("unet-s-camvid") as address:``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import create_app
    from .server import serve, serving
    from .work.options import ServeOptions

__all__ = ["ServeOptions", "create_app", "serve", "serving"]

# Loaded on first use: the command's help needs the options only.
_HOMES = {"ServeOptions": ".work.options", "create_app": ".app", "serve": ".server", "serving": ".server"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
