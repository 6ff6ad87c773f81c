"""Is loading the brake? Images per second of the training loop ÷ those of the bare network on tensors that are there.

    python benchmarks/loading.py [--data CAMVID] [--model unet-s] [--seconds 150] [--json FILE]

Both sides take turns in one training (`seg-edge train`'s own: loader processes, augmentation, averaging, Lightning): a
block of its steps, then as many steps of a copy of the network on batches that the training has loaded before: forward,
loss, backward, clipping, optimizer, at the same precision and on the same threads. While the bare network runs, the loader's
queue fills up; so each block first lets the bare side wait for a second, and then leaves out as many steps as the queue
holds. A loader that makes less than it is asked for lives off the full queue for longer than that: hence long blocks where
a step is short, on a GPU. An epoch's validation and checkpoints are no part of a block. Median of the blocks; limit 0.9.

Beside it: milliseconds of processor time for one training sample, and of its colours by this package and by torchvision.
About three minutes with the defaults, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torchvision.transforms import v2

from seg_edge.core.artefact import write_json
from seg_edge.core.errors import SegEdgeError
from seg_edge.datasets.opening import open_dataset
from seg_edge.runtime.machine.system import machine
from seg_edge.train import TrainConfig, fit
from seg_edge.train.data.augment import AugmentOptions, ColourJitter, in_one_thread
from seg_edge.train.data.cache import free_for_data
from seg_edge.train.data.module import TrainSet, default_workers
from seg_edge.train.lightning_module import SegmentationModule

RESULTS = Path(__file__).parent / "results"
CAMVID = Path(os.environ.get("SEG_EDGE_CAMVID", Path(__file__).parents[1] / ".." / "shared" / "data" / "camvid"))
LIMIT = 0.9
Batch = tuple[Tensor, Tensor]


class Enough(Exception):
    """The time is over."""


class Bare:
    """A copy of the training's network, and what one of its steps needs.

    Args:
        module: The training's.
        batches: Training batches, on the module's device.
    """

    def __init__(self, module: SegmentationModule, batches: list[Batch]) -> None:
        self.module = module
        self.net = copy.deepcopy(module.net).train()
        self.loss = copy.deepcopy(module.loss).train()
        self.batches = batches
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-6)

    def step(self, number: int) -> None:
        images, masks = self.batches[number % len(self.batches)]
        with self.module.trainer.precision_plugin.train_step_context():
            x = (images.float() - self.module.mean) / self.module.std
            loss = self.loss(self.net(x.contiguous(memory_format=torch.channels_last)), masks)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class Turns:
    """Hooks of a training that let both sides take turns, in blocks of ``steps``.

    Args:
        steps: Of a block.
        queued: Batches that the loader may have ready.
        seconds: After which it is enough.
    """

    def __init__(self, steps: int, queued: int, seconds: float) -> None:
        self.steps, self.queued, self.seconds = steps, queued, seconds
        self.rows: list[dict[str, float]] = []
        self._batches: list[Batch] = []
        self._bare: Bare | None = None
        self._seen = 0
        self._began_s = self._block_s = 0.0

    def epoch(self, _module: SegmentationModule) -> None:
        self._seen = 0  # a block lies within one epoch

    def batch(self, module: SegmentationModule, _outputs: object, batch: Batch, _index: int) -> None:
        now = synchronized(module)
        if len(self._batches) < 4:
            self._batches.append((batch[0].clone(), batch[1].clone()))
            return
        self._seen += 1
        if self._seen == self.queued + 1:
            self._block_s = now
        if self._seen < self.queued + 1 + self.steps:
            return
        loop_s = now - self._block_s
        self._bare = self._bare or Bare(module, self._batches)
        time.sleep(1.0)  # the loader fills its queue, and then leaves the cores alone
        self._bare.step(0)
        began = synchronized(module)
        for number in range(self.steps):
            self._bare.step(number)
        bare_s = synchronized(module) - began
        images = self.steps * len(batch[0])
        self.rows.append({"loop": images / loop_s, "bare": images / bare_s, "ratio": bare_s / loop_s})
        print(f"  {images / loop_s:.1f} of {images / bare_s:.1f} images per second: {bare_s / loop_s:.3f}", flush=True)
        self._began_s = self._began_s or began
        if synchronized(module) - self._began_s > self.seconds and len(self.rows) >= 3:
            raise Enough
        self._seen = 0


def synchronized(module: SegmentationModule) -> float:
    if module.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def sample_ms(data: Path, classes: str | None, size_hw: tuple[int, int], times: int = 24) -> dict[str, float]:
    """Processor time of one training sample in one thread; of its colours alone, by both sides in turns.

    The process has one thread from then on.
    """
    samples = TrainSet(open_dataset(data, "train", classes), size_hw, AugmentOptions(), room=free_for_data())
    ours, theirs = ColourJitter(0.4), v2.ColorJitter(0.4, 0.4, 0.4)
    torch.set_num_threads(1)
    in_one_thread(0)
    spent: dict[str, list[float]] = {"sample": [], "colours": [], "colours_torchvision": []}
    for i in range(times):
        began = time.process_time()
        image, mask = samples[(i % len(samples), i)]
        spent["sample"].append(time.process_time() - began)
        began = time.process_time()
        ours(image, mask)
        spent["colours"].append(time.process_time() - began)
        began = time.process_time()
        theirs(image)
        spent["colours_torchvision"].append(time.process_time() - began)
    return {name: 1e3 * median(values) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CAMVID)
    parser.add_argument("--classes", help="class list of a known dataset; default: what the data says")
    parser.add_argument("--model", default="unet-s")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--imgsz", default="352x480", help="network input")
    parser.add_argument("--steps", type=int, help="of a block; default: 8 on a CPU, 20 per loader process on a GPU")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--json", type=Path, default=RESULTS / "loading.json")
    words = parser.parse_args()
    height, width = (int(side) for side in words.imgsz.split("x"))
    # Two batches wait in each loader process's queue, and one in the loop's own hands.
    device = words.device or ("cuda" if torch.cuda.is_available() else "cpu")
    steps = words.steps or (8 if device == "cpu" else 20 * words.workers)
    turns = Turns(steps, 2 * words.workers + 1, words.seconds)
    hooks = {"on_train_epoch_start": lambda module: turns.epoch(module)}
    hooks["on_train_batch_end"] = lambda module, outputs, batch, index: turns.batch(module, outputs, batch, index)
    per_epoch = len(open_dataset(words.data, "train", words.classes)) // words.batch
    if per_epoch < 4 + turns.queued + 1 + steps:
        sys.exit(f"loading: {per_epoch} steps an epoch hold no block; pass larger --data, or a smaller --batch or --steps")
    for name, hook in hooks.items():
        setattr(SegmentationModule, name, hook)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            model=words.model, epochs=10_000, batch=words.batch,
            size_hw=(height, width), workers=words.workers, device=words.device, classes=words.classes,
        )  # fmt: skip
        try:
            fit(words.data, Path(folder) / "out", config)
        except Enough:
            pass
        except SegEdgeError as error:
            sys.exit(f"loading: {error}")
    ratio, threads = median(row["ratio"] for row in turns.rows), torch.get_num_threads()
    result = {
        "command": f"python benchmarks/loading.py --model {words.model} --batch {words.batch} --imgsz {words.imgsz} "
        f"--workers {words.workers} --device {device}",
        "machine": machine(), "threads": threads, "data": words.data.name, "rows": turns.rows,
        "images_per_s": {side: median(row[side] for row in turns.rows) for side in ("loop", "bare")},
        "sample_ms": sample_ms(words.data, words.classes, (height, width)),
        "gates": [{"name": "images per second, training loop ÷ bare network, median of the blocks", "limit": LIMIT,
                   "value": ratio, "passed": ratio >= LIMIT}],
    }  # fmt: skip
    write_json(words.json, result)
    print(f"{words.json}: {ratio:.3f} of the bare network's images per second")
    sys.exit(0 if ratio >= LIMIT else 1)


if __name__ == "__main__":
    main()
