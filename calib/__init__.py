"""Calibration: activation statistics, scales, bias correction."""
