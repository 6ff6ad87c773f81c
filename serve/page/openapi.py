"""The description of the service: ``/openapi.json``, and the same for people at ``/docs``."""

from __future__ import annotations

from html import escape
from typing import Any

from ...core.version import __version__
from ..request.wants import FORMATS, MASKS
from ..work.errors import CODES
from ..work.service import Service

_TEXT = {"type": "string"}
_PAGE = {"description": "Its page"}


def openapi(service: Service) -> dict[str, Any]:
    """OpenAPI 3.1 of a service, with the names of its models."""
    options = service.options
    image = {"type": "string", "format": "binary"}
    query = [
        _option("format", "Form of the answer; else Accept decides, else png.", {**_TEXT, "enum": list(FORMATS)}),
        _option("palette", "PNG with colours: the class numbers are indices.", {"type": "boolean"}),
        _option("mask", "How the mask stands in JSON.", {**_TEXT, "enum": list(MASKS)}),
        _option("classes", "Names, separated by commas: coloured in overlays, given as rle and polygons. All.", _TEXT),
        _option(
            "alpha", "Opacity of the overlay's colours.", {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}
        ),
        _option("contours", "Draw the borders between classes.", {"type": "boolean", "default": False}),
        _option("quality", "Of the overlay's JPEG.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 90}),
    ]
    body = {
        "required": True,
        "content": {
            "image/*": {"schema": image},
            "application/octet-stream": {"schema": image},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "array", "items": image}, "config": {"type": "object"}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "object",
                            "properties": {"type": {"const": "base64"}, "value": _TEXT},
                        },
                        "config": {"type": "object"},
                    },
                }
            },
        },
    }
    content = {kind: {"schema": image} for kind in ("image/png", "image/jpeg")}
    answers: dict[str, Any] = {"200": {"description": "The mask", "content": {**content, "application/json": {}}}}
    answers |= _errors("bad_image", "bad_option", "body_too_large", "unsupported_media_type", "busy", "timeout")
    text = (
        f"JPEG, PNG, WebP, BMP or TIFF, up to {options.max_body_mib:g} MiB and {options.max_megapixels:g} million pixels, "
        f"up to {options.max_images} images a request. EXIF orientation is applied: the mask fits the upright image."
    )
    segment = {"summary": "Segment images", "description": text, "requestBody": body, "responses": answers}
    paths: dict[str, Any] = {
        "/v1/segment": {"post": {**segment, "operationId": "segment", "parameters": query}},
        "/v1/segment/{model}": {"post": {**segment, "operationId": "segmentWith", "parameters": [_model(service), *query]}},
        "/v1/models": {"get": _plain("models", "The models, their classes and colours")},
        "/v1/models/{model}": {"get": {**_plain("model", "One model"), "parameters": [_model(service)]}},
        "/v1/stream": {
            "get": {
                "operationId": "stream",
                "summary": "WebSocket: frames in, masks out in order, the newest frame wins",
                "description": "Options as of /v1/segment, in the address or as a JSON text message. Each binary message is "
                "an image file; it is answered with a text message (frame, dropped, size, timings_ms) and the mask.",
                "responses": {"101": {"description": "Switching protocols"}, **_errors("unauthorized", "forbidden")},
            }
        },
        "/v1/runs": {"get": _plain("runs", "The sources that the service segments: state, frames per second, viewers")},
        "/v1/runs/{run}": {
            "get": {**_plain("run", "Leads to the page of a run"), "parameters": [_run()], "responses": {"307": _PAGE}}
        },
        "/v1/runs/{run}/": {"get": {**_plain("runPage", "The page of a run: its overlay, live"), "parameters": [_run()]}},
        "/v1/runs/{run}/{part}": {
            "get": {
                **_plain("runPart", "Stream (motion JPEG), snapshot, stats (JSON), metrics (Prometheus text)"),
                "parameters": [_run(), _part("stream", "snapshot", "stats", "metrics")],
                "responses": _answered(503),
            },
            "post": {
                **_plain("runControl", "Pauses a run, or resumes it"),
                "parameters": [_run(), _part("pause", "resume")],
                "responses": _answered(503),
            },
        },
        "/healthz": {"get": _plain("live", "The process answers")},
        "/readyz": {"get": {**_plain("ready", "Models are open and warm"), "responses": _answered(503)}},
        "/metrics": {"get": _plain("metrics", "Prometheus text")},
    }
    for path, name, summary in (
        ("/v2", "v2Server", "About the server"),
        ("/v2/health/live", "v2Live", "The process answers"),
        ("/v2/health/ready", "v2Ready", "Models are open and warm"),
        ("/v2/models/{model}", "v2Model", "Inputs and outputs of a model"),
        ("/v2/models/{model}/ready", "v2ModelReady", "Whether a model is ready"),
    ):
        parameters = [_model(service)] if "{model}" in path else []
        paths[path] = {"get": {**_plain(name, f"{summary} (Open Inference Protocol)"), "parameters": parameters}}
    paths["/v2/models/{model}/infer"] = {
        "post": {
            **_plain("v2Infer", "Infer (Open Inference Protocol, binary data extension)"),
            "description": "One input: frames UINT8 [N, H, W, 3] in BGR, or image BYTES [N], image files. "
            "Outputs: labels UINT8 [N, H, W]; logits FP32 where asked for by name.",
            "parameters": [_model(service)],
            "requestBody": {"required": True, "content": {"application/json": {}, "application/octet-stream": {}}},
            "responses": {"200": {"description": "Tensors"}, **_errors("bad_request", "busy", "timeout")},
        }
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "seg-edge", "version": __version__, "description": "Semantic segmentation: images in, masks out."},
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "code"],
                    "properties": {"error": _TEXT, "code": {**_TEXT, "enum": list(CODES)}},
                }
            }
        },
    }
    if service.token is not None:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described


def documentation(described: dict[str, Any]) -> str:
    """The description as a page."""
    rows = []
    for path, methods in described["paths"].items():
        for method, about in methods.items():
            rows.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(about['summary'])}.</p>")
            if "description" in about:
                rows.append(f"<p>{escape(about['description'])}</p>")
            if about.get("parameters"):
                cells = "".join(map(_parameter, about["parameters"]))
                rows.append(f"<div><table><tr><th>option<th>values<th>meaning</tr>{cells}</table></div>")
    codes = "".join(f"<tr><td>{status}<td><code>{code}</code></tr>" for code, status in CODES.items())
    head = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    head += "<title>seg-edge: API</title><link rel=stylesheet href=page.css><link rel=icon href='data:,'>"
    return (
        f"{head}<body class=docs><header><h1>seg-edge {escape(described['info']['version'])}</h1><a href='./'>Page</a> "
        f"<a href='openapi.json'>openapi.json</a></header><article>{''.join(rows)}<h2>Errors</h2><p>Status, and the code in "
        f'<code>{{"error": "…", "code": "…"}}</code>.</p><table>{codes}</table></article></body></html>'
    )


def _parameter(about: dict[str, Any]) -> str:
    schema = about["schema"]
    values = ", ".join(schema["enum"]) if "enum" in schema else schema["type"]
    if "minimum" in schema:
        values += f", {schema['minimum']} to {schema['maximum']}"
    return f"<tr><td><code>{escape(about['name'])}</code><td>{escape(values)}<td>{escape(about['description'])}</tr>"


def _option(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _model(service: Service) -> dict[str, Any]:
    return {
        "name": "model", "in": "path", "required": True, "description": "The first is the default.",
        "schema": {**_TEXT, "enum": service.names},
    }  # fmt: skip


def _run() -> dict[str, Any]:
    return {"name": "run", "in": "path", "required": True, "description": "Name of a source", "schema": _TEXT}


def _part(*names: str) -> dict[str, Any]:
    schema = {**_TEXT, "enum": list(names)}
    return {"name": "part", "in": "path", "required": True, "description": "What of it", "schema": schema}


def _plain(name: str, summary: str) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": _answered()}


def _answered(*others: int) -> dict[str, Any]:
    return {"200": {"description": "OK"}, **{str(status): {"description": "Not now"} for status in others}}


def _errors(*codes: str) -> dict[str, Any]:
    schema = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    found: dict[str, list[str]] = {}
    for code in codes:
        found.setdefault(str(CODES[code]), []).append(code)
    return {status: {"description": ", ".join(names), "content": schema} for status, names in found.items()}
