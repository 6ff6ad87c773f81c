"""``seg-edge run``"""


def run() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
