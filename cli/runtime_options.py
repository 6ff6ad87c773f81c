"""Options that the verbs that run models share."""

from __future__ import annotations

import typer

from ..runtime.engines.table import choices

#: ``--engine`` of verbs that open any model that can be run here.
ENGINE = typer.Option(help=f"{', '.join(choices())}; or a server: http://HOST:PORT/MODEL.")
THREADS = typer.Option(help="CPU threads of the engine. Default: one for each core.")
ALPHA = typer.Option(help="Opacity of the classes' colours, 0 to 1.")
