"""Information about this machine: processor, GPU, video libraries."""
