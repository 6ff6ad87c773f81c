"""Datasets as batches of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.multiprocessing import get_start_method
from torch.utils.data import DataLoader, Dataset, Sampler, Subset, get_worker_info

from ...core.cpu import usable_count
from ...datasets.dataset import SegDataset
from .augment import in_one_thread, resize_whole, to_tensors, training_transform
from .cache import CachedReads, free_for_data
from .mix import class_mix, cut_mix, draw_weights
from .options import AugmentOptions

Sample = tuple[Tensor, Tensor]
#: Position in the split, and the seed of the sample's augmentation.
Draw = tuple[int, int]


class EpochSampler(Sampler[Draw]):
    """Random order and augmentation that depend on seed and epoch only, not on loader processes or on resuming.

    Lightning calls :meth:`set_epoch` before each epoch.

    Args:
        count: Images.
        seed: Of the order.
        batch: Images of a step, all processes together; a single process needs none.
        share: Number of this process, and of all. The batches of all together are those of one process; images that
            make no whole batch are left out.
    """

    def __init__(self, count: int, seed: int, batch: int = 1, share: tuple[int, int] = (0, 1)) -> None:
        self.count = count
        self.seed = seed
        self.batch = batch
        self.share = share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        processes = self.share[1]
        return self.count if processes == 1 else self.count // self.batch * self.batch // processes

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng((self.seed, self.epoch))
        draws = zip(rng.permutation(self.count).tolist(), rng.integers(0, 2**63, self.count).tolist(), strict=True)
        rank, processes = self.share
        if processes == 1:
            return draws
        each = self.batch // processes
        mine = (draw for k, draw in enumerate(draws) if k % self.batch // each == rank)
        return islice(mine, len(self))


class TrainSet(Dataset[Sample]):
    """Augmented training samples: image uint8 (3, h, w) RGB, mask uint8 (h, w), both of ``size_hw``.

    ``room``: Bytes that the decoded pairs may take up, see :class:`CachedReads`; by default they are read from their files.
    """

    def __init__(
        self,
        data: SegDataset,
        size_hw: tuple[int, int],
        options: AugmentOptions,
        frequencies: npt.NDArray[np.float64] | None = None,
        whole_hw: tuple[int, int] | None = None,
        room: float = 0,
    ) -> None:
        self.data = data
        self.cache = CachedReads(data, room)
        self.options = options
        values = len(data.labels) + len(data.sets)
        self.weights = torch.ones(values) if frequencies is None else draw_weights(frequencies)
        self.transform = training_transform(size_hw, data.labels.ignore_index, options, whole_hw)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, draw: Draw) -> Sample:
        index, seed = draw
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(seed)
            return self._mixed(self._sample(index))

    def _sample(self, index: int) -> Sample:
        image, mask = self.transform(*to_tensors(*self.cache.read(index)))
        return image.as_subclass(Tensor), mask.as_subclass(Tensor)

    def _mixed(self, sample: Sample) -> Sample:
        classmix, cutmix = self.options.classmix, self.options.cutmix
        if not classmix + cutmix:
            return sample
        drawn = torch.rand(()).item()
        if drawn >= classmix + cutmix:
            return sample
        other = self._sample(int(torch.randint(0, len(self.data), ())))
        if drawn < classmix:
            return class_mix(sample, other, self.weights, self.data.labels.ignore_index)
        return cut_mix(sample, other)


class ValSet(Dataset[Sample]):
    """Validation samples: the whole image at the network's input size; the mask at its own size, as it was labelled."""

    def __init__(self, data: SegDataset, size_hw: tuple[int, int], room: float = 0) -> None:
        self.data = data
        self.cache = CachedReads(data, room)
        self.size_hw = size_hw

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        image, mask = to_tensors(*self.cache.read(index))
        # A copy, so that the cached mask stays as it is whatever happens to the sample.
        return resize_whole(image, self.size_hw).as_subclass(Tensor), mask.as_subclass(Tensor).clone()


class Batches:
    """Stacks training samples; in a loader process into a few blocks of shared memory that are used again and again.

    PyTorch takes a new block for each batch, which the system clears page by page: on a CPU that was a good part of the
    loader's work. A batch is valid until ``DEPTH - PREFETCH`` further ones were taken from the loader; clone it to keep it
    longer.
    """

    #: Batches of a process that are ready or in the making while the training holds earlier ones.
    PREFETCH = 2
    DEPTH = PREFETCH + 2

    def __init__(self) -> None:
        self._blocks: list[Sample] = []
        self._next = 0

    def __call__(self, samples: Sequence[Sample]) -> Sample:
        """Images uint8 (3, h, w), in memory as rows of pixels, and masks (h, w) → (N, 3, h, w), likewise, and (N, h, w)."""
        images, masks = [image.permute(1, 2, 0) for image, _ in samples], [mask for _, mask in samples]
        if get_worker_info() is None:
            return torch.stack(images).permute(0, 3, 1, 2), torch.stack(masks)
        pixels, labels = self._block(len(samples), images[0].shape)
        torch.stack(images, out=pixels)
        torch.stack(masks, out=labels)
        return pixels.permute(0, 3, 1, 2), labels

    def _block(self, count: int, shape: torch.Size) -> Sample:
        """Room for ``count`` samples. All batches but an epoch's last are of one size, and none is larger than the first."""
        if len(self._blocks) < self.DEPTH:
            sizes = ((count, *shape), (count, *shape[:2]))
            pixels, labels = (torch.empty(size, dtype=torch.uint8).share_memory_() for size in sizes)  # type: ignore[no-untyped-call]
            self._blocks.append((pixels, labels))
        block = self._blocks[self._next % self.DEPTH]
        self._next += 1
        return block[0][:count], block[1][:count]


def collate_val(samples: Sequence[Sample]) -> tuple[Tensor, list[Tensor]]:
    """Stacks images; masks stay apart, because their sizes may differ."""
    images, masks = zip(*samples, strict=True)
    return torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2), list(masks)


def default_workers(processes: int = 1) -> int:
    """Loader processes: one for each core up to 8; the training itself leaves room for them on a CPU as well.

    ``processes``: Of the training on this machine, which share its cores.
    """
    return max(1, min(8, usable_count() // processes))


def loaders(
    train: SegDataset,
    val: SegDataset,
    *,
    size_hw: tuple[int, int],
    batch: int,
    workers: int,
    augment: AugmentOptions,
    seed: int,
    pin: bool,
    frequencies: npt.NDArray[np.float64] | None = None,
    crop_hw: tuple[int, int] | None = None,
    share: tuple[int, int] = (0, 1),
    epoch: int = 0,
) -> tuple[DataLoader[Sample], DataLoader[Sample]]:
    """Loaders of the two splits. A training split smaller than one batch gives one smaller batch.

    ``frequencies``: Share of each class in the training split, (classes,): rare ones are pasted more often.
    ``crop_hw``: Size of training samples where it is not ``size_hw``; things in them are as large as in whole frames.
    ``share``: Number of this process and of all; ``batch`` is that of all together, and a multiple of their number.
    ``epoch``: Epochs that were trained already. Lightning starts loader processes before it calls ``set_epoch``.
    """
    rank, processes = share
    sampler = EpochSampler(len(train), seed, batch, share)
    sampler.set_epoch(epoch)
    # Each process of the training has a cache of its own, and all of them may run on this machine.
    shared = workers == 0 or get_start_method() == "fork"
    room = free_for_data() / processes if shared else 0.0
    # A generator of their own: loaders draw from the global one, and differently often with and without processes.
    common = {
        "num_workers": workers, "pin_memory": pin, "persistent_workers": workers > 0, "generator": torch.Generator(),
        "worker_init_fn": in_one_thread, "prefetch_factor": Batches.PREFETCH if workers else None,
    }  # fmt: skip
    samples = TrainSet(train, crop_hw or size_hw, augment, frequencies, size_hw, room)
    first: DataLoader[Sample] = DataLoader(
        samples,
        batch // processes,
        sampler=sampler,
        drop_last=len(train) >= batch,
        collate_fn=Batches(),
        **common,  # type: ignore[arg-type]
    )
    whole: Dataset[Sample] = ValSet(val, size_hw, room - samples.cache.bytes)
    mine = whole if processes == 1 else Subset(whole, range(rank, len(val), processes))
    second: DataLoader[Sample] = DataLoader(mine, batch // processes, collate_fn=collate_val, **common)  # type: ignore[arg-type]
    return first, second
