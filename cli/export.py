"""``seg-edge export``"""


def export() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
