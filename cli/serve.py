"""``seg-edge serve``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.shipped import DEFAULT
from ..serve.work.options import ServeOptions
from .common import about
from .derive import Values, derive

if TYPE_CHECKING:
    from ..serve.app import App


@derive(ServeOptions)
def serve(
    values: Values,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]…",
            help="Exported ONNX files, engine files, artefact folders or shipped names; NAME=PATH gives one a name. The "
            f"first is the default. Left out: {DEFAULT}, which comes with the package.",
        ),
    ] = None,
) -> None:
    """Serve models over HTTP: images in, masks out; a page for the browser at /."""
    from importlib.util import find_spec

    from ..core.errors import InputError

    missing = [name for name in ("starlette", "uvicorn", "python_multipart", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise InputError(f"serve: the packages {', '.join(missing)} are missing; pip install 'seg-edge[serve]'")
    from ..serve import serve as run

    def started(address: str, app: App) -> None:
        for name, model in app.service.models.items():
            engine = model.segmenter.engine
            print(f"{name}: {about(Path(name), model.segmenter)}")
            print(f"engine {engine.name} {engine.version} on {engine.device} ({engine.why})")
        for name, run_ in app.service.runs.items():
            print(f"run {name}: {run_.about()['source']} on {address}/v1/runs/{name}/")
        print(f"serving {', '.join(app.service.names)} on {address}/ (page), {address}/docs", flush=True)

    run(models or None, values.of(ServeOptions), started=started)
