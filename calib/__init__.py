"""Calibration: real frames → activation statistics → scales, bias correction, and the cache that remembers them."""
