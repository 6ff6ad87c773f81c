"""Structured pruning: removes whole channels, which makes the network smaller and faster on every engine."""
