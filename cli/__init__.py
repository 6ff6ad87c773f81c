"""The ``seg-edge`` command: one thin module per verb."""
