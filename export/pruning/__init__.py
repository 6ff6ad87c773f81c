"""Structured pruning: whole channels are removed, so that the network gets smaller and faster on every engine."""
