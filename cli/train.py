"""``seg-edge train``"""


def train() -> None:
    """Placeholder until the verb is written."""
    raise SystemExit(70)
