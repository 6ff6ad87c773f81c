# Private: kernels.py documents these. Arrays are checked by the extension; `isa` forces an instruction set for one call.
def resize(
    frame: object,
    out: object,
    rule: str,
    isa: str | None = None,
    threads: int = 0,
    pixel_format: str = "bgr",
    matrix: str = "bt601",
    full_range: bool = False,
    /,
) -> None: ...
def upsample_argmax(
    logits_chw: object,
    out: object,
    isa: str | None = None,
    threads: int = 0,
    window: object | None = None,
    counts: object | None = None,
    regions: object | None = None,
    /,
) -> None: ...
def upsample_overlay(
    logits_chw: object,
    frame: object,
    palette_bgr: object,
    alpha: object,
    out: object,
    mask_out: object | None,
    isa: str | None = None,
    threads: int = 0,
    line_palette_bgr: object | None = None,
    line_alpha: object = 1.0,
    window: object | None = None,
    counts: object | None = None,
    regions: object | None = None,
    pixel_format: str = "bgr",
    matrix: str = "bt601",
    full_range: bool = False,
    /,
) -> None: ...
def blend(
    mask: object,
    frame: object,
    palette_bgr: object,
    alpha: object,
    out: object,
    isa: str | None = None,
    threads: int = 0,
    line_palette_bgr: object | None = None,
    line_alpha: object = 1.0,
    counts: object | None = None,
    regions: object | None = None,
    pixel_format: str = "bgr",
    matrix: str = "bt601",
    full_range: bool = False,
    /,
) -> None: ...
def backdrop(
    frame: object,
    front: object,
    ground_bgr: object,
    steep: int,
    out: object,
    isa: str | None = None,
    threads: int = 0,
    pixel_format: str = "bgr",
    matrix: str = "bt601",
    full_range: bool = False,
    /,
) -> None: ...
def confidence(
    logits_chw: object,
    out: object,
    measure: str,
    scale: float,
    mask: object | None,
    threshold: int,
    below: int,
    isa: str | None = None,
    threads: int = 0,
    window: object | None = None,
    /,
) -> None: ...
def count(
    source: object,
    size_hw: tuple[int, int],
    counts: object,
    from_logits: bool,
    isa: str | None = None,
    threads: int = 0,
    window: object | None = None,
    regions: object | None = None,
    /,
) -> None: ...
def square_differences(a: object, b: object, out: object, isa: str | None = None, /) -> None: ...
def regions(rows: object, ends: object, ids: object, count: int, width: int, /) -> object: ...
def coco_rle(mask: object, /) -> dict[int, str]: ...
def isa() -> str: ...
def available_isas() -> tuple[str, ...]: ...
def known_isas() -> tuple[str, ...]: ...
def threads() -> int: ...
def set_threads(count: int, /) -> None: ...
