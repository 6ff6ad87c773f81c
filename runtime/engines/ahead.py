"""Opens an engine in a thread while the caller does other work, because compiling a network takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import SegEdgeError
from .opening import open_engine
from .table import AUTO

if TYPE_CHECKING:
    from .base import Engine


@contextmanager
def opened_ahead(
    path: str | Path, engine: str = AUTO, threads: int | None = None, *, throughput: bool = False
) -> Iterator[Callable[[], Engine]]:
    """Starts to open an engine; yields a function that waits for the engine. The engine is closed when the block ends.

    If the block raises a SegEdgeError and the engine can't be opened either, the engine's error is raised, as if the
    engine had been opened first.

    >>> with opened_ahead("unet-s-camvid", "onnxruntime", threads=1) as engine:
    ...     engine().name
    'onnxruntime'

    Args, Raises: as :func:`open_engine`; its errors are raised by the yielded function.
    """
    future: Future[Engine] = Future()

    def work() -> None:
        try:
            future.set_result(open_engine(path, engine, threads, throughput=throughput))
        except BaseException as error:  # the caller's thread raises it
            future.set_exception(error)

    thread = threading.Thread(target=work, name="seg-edge-open", daemon=False)
    thread.start()
    try:
        yield future.result
    except SegEdgeError:
        if error := future.exception():
            raise error from None
        raise
    finally:
        thread.join()
        if not future.exception():
            future.result().close()
