"""The video reader: FFmpeg's libraries through PyAV. For files, and for network streams in the grabber's process.

No module imports anything of the package outside of this folder, because the grabber's process loads them without it.
"""
