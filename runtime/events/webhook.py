"""Delivers messages as POST requests."""

from __future__ import annotations

import http.client
import json
import logging
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..sources.table import redact
from .spool import Spool

logger = logging.getLogger(__name__)

#: Seconds for a request.
_PATIENCE_S = 10.0
#: Answers that may be other ones later.
_LATER = (408, 425, 429)


class Webhook:
    """A target of a spool: sends the oldest message until none waits.

    A message counts as delivered with a 2xx answer. Other requests are repeated, but for 4xx answers that no repetition
    changes: these messages are dropped, with a warning. ``Idempotency-Key`` is the message's id: after a kill between answer
    and note it comes a second time.

    Args:
        spool: Where messages wait.
        address: http:// or https://.
    """

    def __init__(self, spool: Spool, address: str) -> None:
        self.target = address
        self._spool = spool
        self._opener = build_opener(_NoRedirects())

    def deliver(self) -> bool:
        """Sends what waits. False: try again later."""
        while (entry := self._spool.oldest(self.target)) is not None:
            message = entry[1]
            if not self._sent(message):
                return False
            self._spool.delivered(self.target, message["id"])
        return True

    def _sent(self, message: dict[str, Any]) -> bool:
        headers = {"Content-Type": "application/json", "Idempotency-Key": message["id"], "User-Agent": "seg-edge"}
        request = Request(self.target, json.dumps(message).encode(), headers, method="POST")
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                answer.read(1)
            return True
        except HTTPError as error:
            with error:
                if 400 <= error.code < 500 and error.code not in _LATER:
                    logger.warning("%s refused event %s: %d", redact(self.target), message["id"], error.code)
                    return True
            return False
        except (URLError, OSError, http.client.HTTPException):
            return False

    def close(self) -> None:
        """Nothing is held open."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirected POST would become a GET, which tells nobody anything."""

    def redirect_request(self, *_arguments: Any, **_others: Any) -> None:
        return None
