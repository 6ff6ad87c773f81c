"""``seg-edge data``"""

import typer

app = typer.Typer(help="Make and look at datasets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make and look at datasets."""
