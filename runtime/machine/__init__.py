"""What this machine has: processor, GPU, video libraries."""
