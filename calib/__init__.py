"""Calibration: real frames → activation statistics → scales and corrected biases, with a cache."""
