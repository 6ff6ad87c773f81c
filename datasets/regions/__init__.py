"""What annotations of any tool are read into: images with regions, and how regions become masks."""
