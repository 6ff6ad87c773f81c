"""The addresses below ``/v2``.

Inputs: ``frames`` UINT8 [N, H, W, 3] (BGR, any size), or ``image`` BYTES [N] (image files). Output: ``labels`` UINT8
[N, H, W], at the size of the frames. ``logits`` FP32 [N, C, h, w] is given where it is asked for by name: what the network
itself gives, for ``frames`` of its input size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...core.version import __version__
from ...datasets.imagefiles.header import Bytes
from ..request.body import header, read_body
from ..work.errors import ApiError
from ..work.imagefile import decode, open_image
from ..work.model import ServedModel
from ..work.service import Service
from .wire import InferRequest, Tensor, read_request, write_response

_VERSION = "1"


def routes(service: Service) -> list[Route]:
    """The routes of the protocol."""
    about, infer = _About(service), _Infer(service)
    found = [
        Route("/v2", about.server),
        Route("/v2/health/live", about.live),
        Route("/v2/health/ready", about.ready),
    ]
    for place in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [
            Route(place, about.model),
            Route(f"{place}/ready", about.model_ready),
            Route(f"{place}/infer", infer, methods=["POST"]),
        ]
    return found


def _model(service: Service, scope: Scope) -> ServedModel:
    version = scope["path_params"].get("version", _VERSION)
    model = service.model(scope)
    if version != _VERSION:
        raise ApiError("unknown_model", f"model {model.name} has no version {version[:20]!r}; there is: {_VERSION}")
    return model


class _About:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def server(self, _request: Request) -> Response:
        return JSONResponse({"name": "seg-edge", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, _request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(self, _request: Request) -> Response:
        ready = self._service.ready
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def model(self, request: Request) -> Response:
        model = _model(self._service, request.scope)
        outputs = [{"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]}]
        if model.spec.output == "logits":
            shape = [-1, *model.segmenter.engine.output_shape]
            outputs.append({"name": "logits", "datatype": "FP32", "shape": shape})
        return JSONResponse(
            {
                "name": model.name,
                "versions": [_VERSION],
                "platform": f"seg-edge_{model.segmenter.engine.name}",
                "inputs": [
                    {"name": "frames", "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
                    {"name": "image", "datatype": "BYTES", "shape": [-1]},
                ],
                "outputs": outputs,
                "parameters": {"classes": list(model.labels.names), "input_hw": list(model.spec.input_hw)},
            }
        )

    async def model_ready(self, request: Request) -> Response:
        model = _model(self._service, request.scope)
        return JSONResponse({"name": model.name, "ready": True})


class _Infer:
    """``POST …/infer``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, options = self._service, self._service.options
        model = _model(service, scope)
        async with read_body(scope, receive, options.max_body, options.body_timeout, service.bodies) as body:
            length = header(scope, b"inference-header-content-length")
            (answer, length_of_head, count), _queued_s = await service.pool.run(self._answer, model, body, length)
        service.metrics.images.labels(model.name).inc(count)
        headers = [(b"content-length", b"%d" % len(answer))]
        if length_of_head is None:
            headers.append((b"content-type", b"application/json"))
        else:
            headers.append((b"content-type", b"application/octet-stream"))
            headers.append((b"inference-header-content-length", b"%d" % length_of_head))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, model: ServedModel, body: Bytes, length: str) -> tuple[bytes, int | None, int]:
        request = read_request(body, length)
        wanted = request.outputs or {"labels": request.binary}
        known = ("labels", "logits") if model.spec.output == "logits" else ("labels",)
        for name in wanted:
            if name not in known:
                raise ApiError("bad_request", f"no output {name[:40]!r}; there are: {', '.join(known)}")
        tensor = _only_input(request)
        arrays: dict[str, npt.NDArray[Any]] = {}
        if "logits" in wanted:
            arrays["logits"] = self._logits(model, tensor)
        if "labels" in wanted:
            arrays["labels"] = self._labels(model, tensor)
        head = {"model_name": model.name, "model_version": _VERSION}
        if request.id:
            head["id"] = request.id
        count = len(next(iter(arrays.values())))
        return *write_response(head, [(name, arrays[name], binary) for name, binary in wanted.items()]), count

    def _labels(self, model: ServedModel, tensor: Tensor) -> npt.NDArray[np.uint8]:
        if tensor.name == "image":
            return self._labels_of_files(model, tensor)
        frames = self._frames(tensor)
        labels = np.empty(frames.shape[:3], np.uint8)
        for frame, out in zip(frames, labels, strict=True):
            model.segment(frame, out=out)
        return labels

    def _labels_of_files(self, model: ServedModel, tensor: Tensor) -> npt.NDArray[np.uint8]:
        options = self._service.options
        files = tensor.elements()
        if len(files) > options.max_images:
            raise ApiError("bad_request", f"input image: at most {options.max_images} expected, got {len(files)}")
        masks: list[npt.NDArray[np.uint8]] = []
        for number, data in enumerate(files, 1):
            name = f"image {number}"
            file = open_image(data, options.max_pixels, name)
            frame, scale = decode(data, file, model.spec.input_hw, options.scaled_decode, name)
            masks.append(model.segment(frame, file.shown_hw if scale > 1 else None).mask)
            if masks[-1].shape != masks[0].shape:
                raise ApiError("bad_request", "images of one request must have one size; send the others by themselves")
        if not masks:
            raise ApiError("bad_request", "input image: at least one expected, got none")
        return np.stack(masks)

    def _logits(self, model: ServedModel, tensor: Tensor) -> npt.NDArray[np.float32]:
        height, width = model.spec.input_hw
        if tensor.name != "frames" or tensor.shape[1:3] != (height, width):
            text = f"output logits: needs the input frames of shape [N, {height}, {width}, 3]"
            raise ApiError("bad_request", f"{text}, got {tensor.name} {list(tensor.shape)}")
        logits: npt.NDArray[np.float32] = model.network_output(self._frames(tensor))
        return logits

    def _frames(self, tensor: Tensor) -> npt.NDArray[np.uint8]:
        shape, options = tensor.shape, self._service.options
        if tensor.datatype != "UINT8" or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            text = f"input frames: UINT8 [N, H, W, 3] expected, got {tensor.datatype} {list(shape)}"
            raise ApiError("bad_request", text)
        if max(shape[1:3]) > 16384 or shape[1] * shape[2] > options.max_pixels:
            text = f"frames of {shape[2]} x {shape[1]} pixels: at most {options.max_pixels / 1e6:g} million expected"
            raise ApiError("image_too_large", text)
        frames: npt.NDArray[np.uint8] = tensor.array()
        return frames


def _only_input(request: InferRequest) -> Tensor:
    known = {"frames": "UINT8", "image": "BYTES"}
    if len(request.inputs) != 1 or next(iter(request.inputs)) not in known:
        names = ", ".join(request.inputs)[:80] or "none"
        raise ApiError("bad_request", f"one input expected, frames (UINT8) or image (BYTES), got {names}")
    (tensor,) = request.inputs.values()
    if tensor.datatype != known[tensor.name]:
        raise ApiError("bad_request", f"input {tensor.name}: {known[tensor.name]} expected, got {tensor.datatype}")
    return tensor
