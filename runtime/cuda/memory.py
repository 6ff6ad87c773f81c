"""Memory that the processor and the GPU both know."""

from __future__ import annotations

from typing import Any


class Buffer:
    """A tensor's memory: pinned on the host, and either mapped into the GPU's address space or twinned there.

    Args:
        cuda: The module ``pycuda.driver``; the GPU's context is current.
        mapped: Whether the GPU shares the processor's memory, so that nothing needs to be copied.

    Attributes:
        host: The array on the processor's side.
        address: The GPU's address.
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
        """Puts a copy to the GPU on the stream; nothing where it is mapped."""
        if self._device is not None:
            self._cuda.memcpy_htod_async(self._device, self.host, stream)

    def download(self, stream: Any) -> None:
        """Puts a copy from the GPU on the stream; nothing where it is mapped."""
        if self._device is not None:
            self._cuda.memcpy_dtoh_async(self.host, self._device, stream)
