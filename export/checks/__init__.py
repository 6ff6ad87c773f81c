"""Checks of every step of an export: comparison, accuracy, latency, golden frames, replay on a device."""
