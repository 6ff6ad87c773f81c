"""Formats for delivery: OpenVINO IR and Triton repositories."""
