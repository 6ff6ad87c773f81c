"""Weights of a classification network for the encoder of a network (``TrainConfig.pretrained``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...core.artefact import sha256
from ...core.errors import DownloadError, InputError, ModelFileError
from . import catalog
from .lite import LiteUNet
from .names import IMAGENET, check_pretrained
from .parts import encoders

# In front of an encoder's names: nothing (torchvision, timm), DataParallel's, other trainers' and our own checkpoints'.
_PREFIXES = ("", "module.", "encoder.", "backbone.", "model.", "features.", "net.network.encoder.", "net.network.backbone.")
_SUFFIXES = "(.pt, .pth, .safetensors)"
# DenseNet's names as they were published first: norm.1 stands for norm1.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")


def provenance(weights: str) -> dict[str, str]:
    """For the checkpoint: the file by its hash, or the hub's word."""
    if weights == IMAGENET:
        return {"weights": IMAGENET}
    return {"file": Path(weights).name, "sha256": sha256(Path(weights))}


def load(net: nn.Module, name: str, weights: str) -> None:
    """Puts weights into a network's encoder; all else stays as it is.

    Args:
        net: As :func:`.catalog.build` made it of ``name``.
        weights: ``"imagenet"`` for the library's download, or a file: a state dict, or a checkpoint that holds one, of the
            same classification network as torchvision, timm or segmentation-models-pytorch name its layers.

    Raises:
        InputError, ModelFileError: what can't be used; no weight has changed then.
        DownloadError: the weights can't be downloaded.
    """
    check_pretrained(name, weights)
    if weights == IMAGENET and isinstance(net, LiteUNet):
        net.load_imagenet()
        return
    state = _download(name) if weights == IMAGENET else _read(Path(weights))
    assert isinstance(net, (catalog.ZooNetwork, LiteUNet))
    encoder = net.encoder
    wanted = encoder.state_dict()
    matching = _matching(wanted, state)
    missing = [key for key in wanted if key not in matching and not key.endswith("num_batches_tracked")]
    if missing:
        raise ModelFileError(
            f"`pretrained={weights!r}`: has {len(matching)} of the {len(wanted)} weights of {name}'s encoder, {missing[0]} "
            "is missing; pass weights of the same encoder"
        )
    for key, value in matching.items():
        if value.shape != wanted[key].shape:
            raise ModelFileError(
                f"`pretrained={weights!r}`: {key} is {tuple(value.shape)}, {name}'s encoder needs "
                f"{tuple(wanted[key].shape)}; pass weights of the same encoder"
            )
    # Not the encoder's own method: those of the library take no strict=, and change what they are given.
    nn.Module.load_state_dict(encoder, wanted | matching)


def _matching(wanted: dict[str, Tensor], state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries of ``state`` under the encoder's names, by the prefix that fits most of them."""
    best: dict[str, Tensor] = {}
    for prefix in _PREFIXES:
        for inner in ("", "model.", "features."):  # timm's and VGG's layers lie one level deeper here
            cut = {inner + key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            best = max(best, {key: value for key, value in cut.items() if key in wanted}, key=len)
    return best


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            data: Any = load_file(path)
        else:
            data = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise InputError(f"`pretrained={str(path)!r}`: needs safetensors ({error}); pip install 'seg-edge[zoo]'") from error
    except Exception as error:  # damaged files raise whatever their bytes happen to ask for
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:120]
        raise ModelFileError(
            f"`pretrained={str(path)!r}`: not readable as weights ({reason}); expected a state dict {_SUFFIXES}"
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(data, dict) and isinstance(data.get(key), dict):
            data = data[key]
    tensors = {str(k): v for k, v in data.items() if isinstance(v, Tensor)} if isinstance(data, dict) else {}
    if not tensors:
        raise ModelFileError(
            f"`pretrained={str(path)!r}`: holds no weights; expected a state dict (.pt, .pth, .safetensors)"
        )
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in tensors.items()}


def _download(name: str) -> dict[str, Tensor]:
    smp = encoders.library(name)
    encoder = encoders.library_name(name.partition("-")[2])
    weights = True if encoder.startswith("tu-") else IMAGENET
    try:
        state: dict[str, Tensor] = smp.encoders.get_encoder(encoder, weights=weights).state_dict()
    except KeyError as error:
        raise InputError(
            f"`pretrained={IMAGENET!r}`: none are published for {encoder}; pass a file of weights to `pretrained`"
        ) from error
    except Exception as error:  # of the hub's client, of requests, of the system
        reason = next(iter(str(error).splitlines()), "")[:120]
        raise DownloadError(
            f"`pretrained={IMAGENET!r}`: the weights of {encoder} can't be downloaded ({type(error).__name__}: {reason}); "
            "fetch them elsewhere and pass the file to `pretrained`"
        ) from error
    return state
