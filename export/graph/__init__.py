"""Changes of the graph: to ONNX, simplified, quantized, cast to fp16, batched, with a labels head."""
