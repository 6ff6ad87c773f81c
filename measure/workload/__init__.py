"""Workloads for measuring: frames, batches, a simulated camera, stand-in scores for untrained networks."""
