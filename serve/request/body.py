"""Bodies of requests: read as a stream under limits, and taken apart into images and options, without a copy of an image."""

from __future__ import annotations

import asyncio
import binascii
import json
import sys
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from ...datasets.imagefiles.header import FORMATS, Bytes
from ..work.errors import ApiError, busy
from ..work.pool import Budget

#: Content types that are taken for one image; what it really is says its first bytes.
_RAW = ("image/", "application/octet-stream")
#: curl's and others' default for a body of unknown kind.
_UNTYPED = ("", "application/x-www-form-urlencoded")
_EXPECTED = f"expected an image ({FORMATS}) as image/… or application/octet-stream, multipart/form-data with parts named "
_EXPECTED += '"image", or application/json'


@dataclass
class Upload:
    """What a request brought.

    Attributes:
        images: Name and file of each image.
        config: Options, as JSON values.
    """

    images: list[tuple[str, Bytes]]
    config: dict[str, Any] = field(default_factory=dict)


def header(scope: Scope, name: bytes) -> str:
    """A header's value; "" where it is missing."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


@asynccontextmanager
async def read_body(scope: Scope, receive: Receive, most: int, timeout_s: float, budget: Budget) -> AsyncIterator[Bytes]:
    """The body of a request; while it is used, ``budget`` counts it.

    Raises:
        ApiError: ``length_required``, ``bad_request``, ``body_too_large``, ``body_timeout``; ``busy``: too many bytes of
            other requests are on their way.
        ClientDisconnect: the client went away.
    """
    if (coding := header(scope, b"content-encoding").strip().lower()) not in ("", "identity"):
        raise ApiError("unsupported_media_type", f"Content-Encoding {coding[:40]}: send the body as it is")
    stated = _stated_length(scope)
    if stated is not None and stated > most:
        raise _too_large(f"{stated}", most)
    taken = 0
    try:
        chunks: list[bytes] = []
        with _Deadline(timeout_s) as deadline:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                if not budget.take(len(chunk)):
                    raise busy("busy", "too many bytes of other requests are on their way; try again later")
                taken = deadline.taken = taken + len(chunk)
                if taken > most:
                    raise _too_large(f"more than {most}", most)
                if chunk:
                    chunks.append(chunk)
        yield chunks[0] if len(chunks) == 1 else b"".join(chunks)
    finally:
        budget.give(taken)


def _stated_length(scope: Scope) -> int | None:
    text = header(scope, b"content-length")
    if not text:
        if scope["method"] == "POST" and not header(scope, b"transfer-encoding"):
            raise ApiError("length_required", "the request has no Content-Length; send one, or use chunked encoding")
        return None
    if not (text.isascii() and text.isdigit()):
        raise ApiError("bad_request", f"Content-Length: expected a number, got {text[:40]!r}")
    return int(text)


def _too_large(size: str, most: int) -> ApiError:
    return ApiError("body_too_large", f"the body has {size} bytes; expected at most {most}; send a smaller image")


class _Deadline:
    """Cancels the task's waiting after some seconds; ``asyncio.timeout`` needs Python 3.11, and ``wait_for`` a task each."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._expired, self.taken = seconds, False, 0

    def __enter__(self) -> _Deadline:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)
        return self

    def _expire(self) -> None:
        if self._task is not None:
            self._expired = True
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._timer.cancel()
        if self._expired and kind is asyncio.CancelledError:
            if self._task is not None and sys.version_info >= (3, 11):
                self._task.uncancel()
            raise ApiError(
                "body_timeout",
                f"the body did not arrive within {self._seconds:g} s ({self.taken} bytes did); send it faster",
            ) from None


def parse(body: Bytes, content_type: str, most_images: int) -> Upload:
    """Takes a body apart.

    Raises:
        ApiError: ``empty``, ``bad_request``, ``bad_option``, ``unsupported_media_type``.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        upload = _multipart(body, content_type)
    elif kind == "application/json":
        upload = _json(body)
    elif kind.startswith(_RAW) or kind in _UNTYPED:
        upload = Upload([("the image", body)])
    else:
        raise ApiError("unsupported_media_type", f"Content-Type {kind}: {_EXPECTED}")
    if not upload.images:
        raise ApiError("empty", f"the request has no image; {_EXPECTED}")
    if len(upload.images) > most_images:
        raise ApiError("bad_request", f"the request has {len(upload.images)} images; expected at most {most_images}")
    return upload


def _multipart(body: Bytes, content_type: str) -> Upload:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise ApiError("bad_request", "Content-Type multipart/form-data: has no boundary")
    collected = _Parts()
    try:
        parser = MultipartParser(boundary, collected.callbacks())  # type: ignore[arg-type]
        parser.write(bytes(body))
        parser.finalize()
    except FormParserError as error:
        raise ApiError("bad_request", f"the multipart body is damaged: {error}") from None
    if not collected.ended:
        raise ApiError("bad_request", "the multipart body is cut off: its last boundary is missing")
    upload = Upload([])
    for disposition, data in collected.parts:
        _, options = parse_options_header(disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in ("image", "images", "file"):
            number = len(upload.images) + 1
            file = options.get(b"filename", b"").decode("utf-8", "replace")
            upload.images.append((f"image {number} ({file})" if file else f"image {number}", data))
        elif name == "config":
            upload.config = _object(data, "the part config")
        else:
            raise ApiError("bad_request", f'the part {name!r} is unknown; expected parts named "image" and "config"')
    return upload


class _Parts:
    """Collects the parts of a multipart body: their Content-Disposition, and their data as views."""

    def __init__(self) -> None:
        self.parts: list[tuple[bytes, Bytes]] = []
        self.ended = False
        self._name = self._value = self._disposition = b""
        self._data: list[memoryview] = []

    def callbacks(self) -> dict[str, Any]:
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "end")
        return {f"on_{name}": getattr(self, f"_on_{name}") for name in names}

    def _on_part_begin(self) -> None:
        self._disposition, self._data = b"", []

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        self.parts.append((self._disposition, self._data[0] if len(self._data) == 1 else b"".join(self._data)))

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _on_end(self) -> None:
        self.ended = True


def _json(body: Bytes) -> Upload:
    data = _object(body, "the body")
    images = data.pop("image", None)
    images = images if isinstance(images, list) else [] if images is None else [images]
    config = data.pop("config", {})
    if not isinstance(config, dict):
        raise ApiError("bad_request", f'"config": expected a JSON object, got {type(config).__name__}')
    upload = Upload([], {**config, **data})
    for number, image in enumerate(images, 1):
        if not isinstance(image, dict) or image.get("type") != "base64" or not isinstance(image.get("value"), str):
            raise ApiError(
                "bad_request", f'image {number}: expected {{"type": "base64", "value": "…"}}; addresses are not fetched'
            )
        text = image["value"]
        if text.startswith("data:"):
            text = text.partition(",")[2]
        try:
            upload.images.append((f"image {number}", b64decode(text, validate=True)))
        except (binascii.Error, ValueError) as error:
            raise ApiError("bad_request", f"image {number}: not base64 ({error})") from None
    return upload


def _object(data: Bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise ApiError("bad_request", f"{name} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ApiError("bad_request", f"{name}: expected a JSON object, got {type(value).__name__}")
    return value
