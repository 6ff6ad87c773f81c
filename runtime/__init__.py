"""The runtime: kernels, engines, sources, sinks, pipeline, segmenter. Never imports torch."""
