"""The work around the network on one frame: kernels, resize, style, text, smoothing, result."""
