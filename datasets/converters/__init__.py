"""Annotations of other tools, converted once into ``images/<split>`` and ``labels/<split>``."""
