"""Model files: the ONNX and engine files that seg-edge writes, read without onnx; the dialects of engines."""
