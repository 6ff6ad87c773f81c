"""How a model is served. Light: the command's help reads it."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, configuration, option
from ...runtime.engines.table import choices

DEFAULT_PORT = 8000
MIB = 1 << 20


@configuration
class ServeOptions(Options):
    """Options of :func:`seg_edge.serve.create_app` and ``seg-edge serve``.

    >>> ServeOptions(queue=8, max_body_mib=4).queue
    8
    """

    host: str = option("127.0.0.1", help="Address to listen on; 0.0.0.0 is every address of this machine.")
    port: int = option(DEFAULT_PORT, help="Port to listen on; 0 takes a free one.", low=0, high=65535)
    sources: tuple[str, ...] = option(
        (),
        flag="--source",
        help="Segment a camera, stream or file too, with the first model, and show it under /v1/runs; NAME=ADDRESS gives it "
        "a name. May be given several times. Files are played again and again.",
    )
    engine: str = option("auto", help="Engine of all models", choices=choices)
    threads: int | None = option(None, help="CPU threads of each engine. Default: one for each core.", low=1)
    codec_threads: int | None = option(
        None,
        help="Threads that decode, paint and encode, beside the engines. Default: one for each core and two more.",
        low=1,
    )
    queue: int = option(32, help="Requests that may wait for a thread; further ones get 503 and Retry-After.", low=0)
    timeout: float = option(30.0, help="Seconds in which a request that was read must be answered, else 504.", above=0)
    body_timeout: float = option(20.0, help="Seconds in which a request's body must arrive, else 408.", above=0)
    max_body_mib: float = option(16.0, help="Largest body of a request, MiB; a larger one gets 413.", above=0)
    max_megapixels: float = option(
        34.0, help="Largest image, millions of pixels; read from its header, a larger one gets 413.", above=0
    )
    max_images: int = option(16, help="Most images in one request.", low=1)
    token_file: Path | None = option(
        None, help="File with a secret in its first line: requests must bear it (Authorization: Bearer …), else 401."
    )
    scaled_decode: bool = option(
        True,
        help="Decode a JPEG at half or a quarter of its size where the network's input is at most so large. Faster; a few "
        "pixels at borders between classes may differ.",
    )
    latency: bool = option(
        False, help="One network at a time on all threads: single requests are answered sooner, fewer of them a second."
    )
    drain: float = option(30.0, help="Seconds that running requests get to end after SIGTERM.", low=0, high=300)
    tls_certificate: Path | None = option(None, help="Certificate chain (PEM): serve https.")
    tls_key: Path | None = option(None, help="Private key of the certificate (PEM).")

    def check(self) -> None:
        if (self.tls_key is not None) and self.tls_certificate is None:
            raise InputError("`tls_key`: needs `tls_certificate` too")

    @property
    def max_body(self) -> int:
        """Bytes."""
        return int(self.max_body_mib * MIB)

    @property
    def max_pixels(self) -> int:
        return int(self.max_megapixels * 1e6)


def read_token(path: Path | None) -> bytes | None:
    """The secret of a token file; None without a file.

    Raises:
        InputError: not readable, or no secret in it.
    """
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="ascii").split("\n", 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"`token_file`: {path} can't be read as ASCII text ({error}); write the secret into it") from error
    token = lines[0].strip()
    if len(token) < 8 or any(not 33 <= ord(letter) <= 126 for letter in token):
        raise InputError(
            f"`token_file`: the first line of {path} must be a secret of at least 8 printable ASCII letters without blanks; "
            "make one: openssl rand -hex 32"
        )
    return token.encode("ascii")
