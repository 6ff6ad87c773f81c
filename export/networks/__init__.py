"""Networks that seg-edge did not train: other people's ONNX files, the reference table's networks."""
