"""What keeps INT8 accurate: sensitivity of layers, fallback to float, quantization-aware training."""
