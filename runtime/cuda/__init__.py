"""The kernels for NVIDIA GPUs, and the parts of the CUDA driver API that pycuda does not bind."""
