"""Training on a CPU: memory that is kept, gradients of kernels."""
