"""What stays of a frame, on another background: blurred, or an image."""
