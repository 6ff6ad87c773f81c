"""Options that the verbs that run models share."""

from __future__ import annotations

import typer

from ..runtime.engines.table import choices, names

#: ``--engine`` of verbs that open any model that can be run here.
ENGINE = typer.Option(help=f"{', '.join(choices())}.")
#: ``--engine`` of verbs that open exported ONNX files only.
ONNX_ENGINE = typer.Option(help=f"Engine of an exported model: auto, {', '.join(names('.onnx'))}.")
THREADS = typer.Option(help="CPU threads of the engine. Default: one for each core.")
ALPHA = typer.Option(help="Opacity of the classes' colours, 0 to 1.")
