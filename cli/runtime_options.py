"""Shared options of verbs that run models."""

from __future__ import annotations

import typer

from ..runtime.engines.table import choices

#: ``--engine`` of verbs that accept any model.
ENGINE = typer.Option(help=f"{', '.join(choices())}; or a server: http://HOST:PORT/MODEL.")
THREADS = typer.Option(help="CPU threads of the engine. Default: one for each core.")
ALPHA = typer.Option(help="Opacity of the classes' colours, 0 to 1.")
