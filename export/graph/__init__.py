"""Graph transformations: export to ONNX, simplification, quantization, fp16, batch size, labels head."""
