"""Networks that seg-edge did not train: ONNX files of other tools, and the networks of the reference table."""
