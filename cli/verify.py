"""``seg-edge verify``"""


def verify() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
