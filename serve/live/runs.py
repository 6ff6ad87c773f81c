"""What the service shows of the sources that it segments itself: ``/v1/runs``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ..work.errors import ApiError
from ..work.runs import ServedRun


class Runs:
    """The routes ``/v1/runs`` and ``/v1/runs/NAME/…``: what :mod:`seg_edge.runtime.web.view` shows of each.

    Args:
        runs: By name; filled when the service starts.
    """

    def __init__(self, runs: dict[str, ServedRun]) -> None:
        self._runs = runs

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/runs", self._every),
            Route("/v1/runs/{run}", self._to_page),
            Route("/v1/runs/{run}/", _Part(self)),
            Route("/v1/runs/{run}/{part}", _Part(self)),
        ]

    async def _every(self, _request: Request) -> JSONResponse:
        return JSONResponse({"runs": [run.about() for run in self._runs.values()]}, headers={"Cache-Control": "no-store"})

    async def _to_page(self, request: Request) -> RedirectResponse:
        name = self.named(request.scope).name
        return RedirectResponse(f"{name}/", 307)

    def named(self, scope: Scope) -> ServedRun:
        """The run that an address names.

        Raises:
            ApiError: there is none.
        """
        name = scope["path_params"]["run"]
        if name not in self._runs:
            there = ", ".join(self._runs) or "none; start the service with --source"
            raise ApiError("not_found", f"no run {name[:100]!r} here; there are: {there}")
        return self._runs[name]


class _Part:
    """Hands a request on to a run's own application."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        run = self._runs.named(scope)
        path = "/" + scope["path_params"].get("part", "")
        await run.sink.view({**scope, "path": path, "raw_path": path.encode(), "root_path": ""}, receive, send)
