"""What every step of the chain is judged by: comparison, accuracy, latency, golden frames, replay on a device."""
