"""``seg-edge doctor``"""


def doctor() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
