"""Errors as the service answers them: a status, a code for programs, one line for people."""

from __future__ import annotations

import json
from collections.abc import Mapping

#: Code → status, all that the service answers; the documentation lists them.
CODES = {
    "bad_request": 400,
    "bad_image": 400,
    "empty": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "unknown_model": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "body_timeout": 408,
    "length_required": 411,
    "body_too_large": 413,
    "image_too_large": 413,
    "unsupported_media_type": 415,
    "bad_option": 422,
    "internal": 500,
    "engine_failed": 500,
    "busy": 503,
    "draining": 503,
    "starting": 503,
    "timeout": 504,
}


class ApiError(Exception):
    """An error that a client gets.

    Args:
        code: A key of :data:`CODES`.
        text: One line: what, received, expected, remedy.
        headers: Further headers of the answer.
    """

    def __init__(self, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.status = CODES[code]
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        return json.dumps({"error": " ".join(str(self).split()), "code": self.code}).encode()


def busy(code: str, text: str, seconds: float = 1.0) -> ApiError:
    """503 with ``Retry-After``."""
    return ApiError(code, text, {"Retry-After": str(max(1, round(seconds)))})
