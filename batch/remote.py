"""Object stores and other remote folders, through fsspec: ``s3://``, ``gs://``, ``az://``, ``memory://`` and others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ..core.errors import InputError, SourceError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
#: Protocol → package that brings it, for the message where it is missing.
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}


def is_remote(text: str) -> bool:
    """Whether a text is an address, and not a path.

    >>> is_remote("s3://bucket/images"), is_remote("images"), is_remote("file:///images")
    (True, False, False)
    """
    return bool(_ADDRESS.match(text)) and not text.lower().startswith("file://")


class Remote:
    """A folder of an object store.

    Args:
        address: Such as ``s3://bucket/prefix``. Keys and endpoints come from the store's usual variables and files.

    Raises:
        InputError: fsspec or the store's package is missing, or the address is invalid.
    """

    def __init__(self, address: str) -> None:
        protocol = address.partition("://")[0].lower()
        try:
            from fsspec.core import url_to_fs

            self._fs, self._root = url_to_fs(address.rstrip("/"))
        except ImportError as error:
            package = _PACKAGES.get(protocol, "fsspec")
            raise InputError(
                f"{address}: needs the package {package}, which is not installed; pip install 'seg-edge[cloud]' {package}"
            ) from error
        except ValueError as error:
            raise InputError(
                f"{address}: {protocol}:// is not known to fsspec; expected such as s3://BUCKET/PREFIX"
            ) from error
        self.address = address

    def images(self, suffixes: tuple[str, ...]) -> Iterator[str]:
        """Paths of all files below the address that end in one of ``suffixes``, sorted; hidden ones are left out.

        Raises:
            SourceError: the store can't be read.
        """
        try:
            found = self._fs.find(self._root)
        except Exception as error:  # every store has its own errors
            raise SourceError(
                f"source {self.address}: can't be listed ({_line(error)}); check address, keys and endpoint"
            ) from error
        for path in sorted(found):
            if path.lower().endswith(suffixes) and not any(part.startswith(".") for part in self.relative(path).split("/")):
                yield path

    def relative(self, path: str) -> str:
        """The part of a path below the address; of the address itself its last part."""
        root = str(self._root).rstrip("/")
        return path[len(root) + 1 :] if path.startswith(f"{root}/") else PurePosixPath(path).name

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            OSError: it can't be read.
        """
        try:
            return bytes(self._fs.cat_file(path))
        except OSError:
            raise
        except Exception as error:
            raise OSError(_line(error)) from error

    def write(self, relative: str, data: bytes) -> None:
        """Writes a file below the address; object stores show it whole or not at all.

        Raises:
            OSError: it can't be written.
        """
        path = f"{self._root}/{relative}"
        try:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(path, data)
        except OSError:
            raise
        except Exception as error:
            raise OSError(_line(error)) from error

    def get(self, relative: str) -> bytes | None:
        """The content of a file below the address, None where there is none."""
        path = f"{self._root}/{relative}"
        try:
            return bytes(self._fs.cat_file(path))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> set[str]:
        """Paths below the address of all files in a folder."""
        try:
            self._fs.invalidate_cache()
            found: list[Any] = self._fs.find(f"{self._root}/{folder}")
        except FileNotFoundError:
            return set()
        return {self.relative(path) for path in found}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
