"""What models are measured with: frames, batches, a simulated camera, stand-in scores of untrained networks."""
