"""Live video: frames in, masks out, over a WebSocket."""
