"""``seg-edge bench``"""


def bench() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
