"""Memory that the CPU and the GPU share or mirror."""

from __future__ import annotations

from typing import Any


class Buffer:
    """Memory of a tensor: pinned on the host, and either mapped into the GPU's address space or mirrored there.

    Args:
        cuda: The module ``pycuda.driver``; the GPU's context must be current.
        shape: Shape of the tensor.
        dtype: NumPy's name of the tensor's dtype.
        mapped: Whether the GPU shares the CPU's memory, so that no copies are needed.

    Attributes:
        host: The array in host memory.
        address: The address on the GPU.
    """

    def __init__(self, cuda: Any, shape: tuple[int, ...], dtype: str, mapped: bool) -> None:
        self._cuda = cuda
        self._device: Any = None
        if mapped:
            self.host = cuda.pagelocked_empty(shape, dtype, mem_flags=cuda.host_alloc_flags.DEVICEMAP)
            self.address = int(self.host.base.get_device_pointer())
        else:
            self.host = cuda.pagelocked_empty(shape, dtype)
            self._device = cuda.mem_alloc(self.host.nbytes)
            self.address = int(self._device)

    def upload(self, stream: Any) -> None:
        """Enqueues a copy to the GPU; does nothing for mapped memory."""
        if self._device is not None:
            self._cuda.memcpy_htod_async(self._device, self.host, stream)

    def download(self, stream: Any) -> None:
        """Enqueues a copy from the GPU; does nothing for mapped memory."""
        if self._device is not None:
            self._cuda.memcpy_dtoh_async(self.host, self._device, stream)
