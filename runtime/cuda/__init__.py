"""The kernels for NVIDIA GPUs, and what of CUDA's driver pycuda does not bind."""
