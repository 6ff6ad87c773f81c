"""``seg-edge val``"""


def val() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
