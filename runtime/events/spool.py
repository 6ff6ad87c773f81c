"""Messages on disk until they are delivered: what was spooled outlives outages, kills and power failures."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core.errors import InputError

logger = logging.getLogger(__name__)

#: Messages that wait for one target at most; beyond it the oldest are dropped, and counted.
MOST_WAITING = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT, id TEXT, body TEXT, UNIQUE (target, id)
);
CREATE TABLE IF NOT EXISTS open (event TEXT PRIMARY KEY, body TEXT);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""


class Spool:
    """A queue of messages for each target, in a SQLite database; any number of threads may use it, one process at a time.

    >>> import tempfile
    >>> with Spool(Path(tempfile.mkdtemp()) / "events.sqlite") as spool:
    ...     spool.put({"id": "a"}, ["mqtt://host/topic"])
    ...     spool.oldest("mqtt://host/topic")
    (1, {'id': 'a'})

    Args:
        path: The database.
        most: Messages that wait for a target at most.

    Raises:
        InputError: the folder can't be written, another process uses the spool, or the file is no database.
    """

    def __init__(self, path: str | Path, most: int = MOST_WAITING) -> None:
        self.path, self._most = Path(path), most
        self.dropped = 0
        self._lock = threading.Lock()
        #: Set when a message arrives.
        self.filled = threading.Condition()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._held = open(self.path.with_name(self.path.name + ".lock"), "w")
        except OSError as error:
            raise InputError(f"`spool`: {self.path} can't be written ({error.strerror}); choose another folder") from error
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise InputError(f"`spool`: {self.path} is used by another run; pass another folder") from None
        try:
            self._base = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            # A commit is on disk when it returns.
            self._base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        except sqlite3.Error as error:
            self._held.close()
            raise InputError(f"`spool`: {self.path} is no spool ({error}); move it away, or pass another folder") from error

    def put(self, message: dict[str, Any], targets: list[str], opened: str | None = None, ended: str | None = None) -> None:
        """Queues a message for targets; when this returns, it is on disk. A message that waits already is not queued again.

        Args:
            message: JSON with an ``id``.
            targets: Where to.
            opened: The event that it starts; :meth:`left_open` gives the message until an end is put.
            ended: The event that it ends.
        """
        body = json.dumps(message)
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                for target in targets:
                    self._base.execute(
                        "INSERT OR IGNORE INTO messages (target, id, body) VALUES (?, ?, ?)", (target, message["id"], body)
                    )
                    self._bound(target)
                if opened is not None:
                    self._base.execute("INSERT OR REPLACE INTO open VALUES (?, ?)", (opened, body))
                if ended is not None:
                    self._base.execute("DELETE FROM open WHERE event = ?", (ended,))
                self._base.execute("COMMIT")
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
        with self.filled:
            self.filled.notify_all()

    def _bound(self, target: str) -> None:
        waiting = self._base.execute("SELECT count(*) FROM messages WHERE target = ?", (target,)).fetchone()[0]
        if waiting > self._most:
            self._base.execute(
                "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE target = ? ORDER BY seq LIMIT ?)",
                (target, waiting - self._most),
            )
            if not self.dropped:
                logger.warning("the spool %s is full (%d messages): the oldest are dropped", self.path, self._most)
            self.dropped += waiting - self._most

    def oldest(self, target: str) -> tuple[int, dict[str, Any]] | None:
        """Number and content of the message that comes next; None if none waits."""
        with self._lock:
            row = self._base.execute(
                "SELECT seq, body FROM messages WHERE target = ? ORDER BY seq LIMIT 1", (target,)
            ).fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    def delivered(self, target: str, message_id: str) -> None:
        """Removes a message: it has arrived."""
        with self._lock:
            self._base.execute("DELETE FROM messages WHERE target = ? AND id = ?", (target, message_id))

    def waiting(self) -> int:
        """Number of messages that wait, for all targets."""
        with self._lock:
            return int(self._base.execute("SELECT count(*) FROM messages").fetchone()[0])

    def left_open(self) -> list[dict[str, Any]]:
        """The starts of events that have no end: the last run was killed."""
        with self._lock:
            return [json.loads(body) for (body,) in self._base.execute("SELECT body FROM open")]

    def fact(self, name: str, default: str) -> str:
        """A value that is kept with the spool; the first call decides it."""
        with self._lock:
            self._base.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, default))
            return str(self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0])

    def close(self) -> None:
        """Closes the database. May be called twice."""
        with self._lock:
            self._base.close()
        self._held.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def default_folder() -> Path:
    """Where spools lie unless stated: ``$XDG_STATE_HOME/seg-edge``, else ``~/.local/state/seg-edge``."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "seg-edge"
