"""Recordings with FFmpeg's libraries through PyAV. Imports nothing of the package outside of this folder."""
