"""INT8 accuracy: sensitivity of layers, fallback to float, quantization-aware training."""
