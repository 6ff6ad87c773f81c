"""Pre- and post-processing of a frame: kernels, resize, style, text, smoothing, result."""
