"""The forms in which a model leaves: engine files, OpenVINO IR, Triton repositories."""
