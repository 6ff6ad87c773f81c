"""``seg-edge predict``"""


def predict() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
