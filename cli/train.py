"""``seg-edge train``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..train.recipe import load_recipe
from .common import parse_range, parse_size, writable


def train(
    data: Annotated[Path, typer.Option(help="Dataset folder: images/<split> and labels/<split>.")],
    model: Annotated[
        str, typer.Option(help="Network: unet-n, unet-s, unet-m, unet-lite0 or one of the zoo; seg-edge models lists them.")
    ] = "unet-s",
    epochs: Annotated[int, typer.Option(help="Passes over the training split.")] = 100,
    imgsz: Annotated[
        str | None, typer.Option(help="Network input HxW, multiples of 32. Default: the images' own size.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option(help="Size HxW of training crops, multiples of 32. Default: the network's input.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Images per step; under torchrun of all processes together.")] = 8,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate. Default: 0.002 for adamw, 0.05 for sgd.")] = None,
    optimizer: Annotated[str, typer.Option(help="adamw or sgd (Nesterov's momentum 0.9).")] = "adamw",
    weight_decay: Annotated[float, typer.Option(help="Of convolution weights.")] = 0.01,
    loss: Annotated[
        str, typer.Option(help="Sum of terms, each with a weight if wanted: ce, ohem, focal, dice, lovasz, boundary.")
    ] = "ce+0.5*dice",
    class_weights: Annotated[
        float, typer.Option(help="How much rare classes weigh more in it: 1 as in ENet, 0 not at all.")
    ] = 1.0,
    branches: Annotated[
        bool, typer.Option("--branches", help="Train each 3x3 convolution as a sum of kernels; exported, they are one.")
    ] = False,
    aux: Annotated[float, typer.Option(help="Weight of classifiers on the decoder's stages, in training alone.")] = 0.0,
    accumulate: Annotated[int, typer.Option(help="Batches whose gradients make one step.")] = 1,
    patience: Annotated[
        int | None, typer.Option(help="Stop after this many epochs without a better val mIoU. Default: never.")
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Deterministic algorithms alone, also on a GPU.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: runs/<dataset>-<model>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from last.pt in the output folder.")] = False,
    save_every: Annotated[
        int | None, typer.Option(help="Also keep the checkpoint of every N-th epoch. Default: the best and the last alone.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves and overlays for TensorBoard into the output folder.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. Default: cuda where there is one.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16. Default: bf16 where it is fast.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Short for --precision bf16 (fp16 on GPUs without it).")] = False,
    scale: Annotated[str, typer.Option(help="Random zoom LOW,HIGH: 1 shows whole images, 2 a quarter of each.")] = "0.75,2",
    flip: Annotated[float, typer.Option(help="Share of training images that are mirrored.")] = 0.5,
    jitter: Annotated[float, typer.Option(help="Strength of random brightness, contrast and saturation.")] = 0.4,
    classmix: Annotated[
        float, typer.Option(help="Share of training images that get half of another one's classes, rare ones first.")
    ] = 0.0,
    cutmix: Annotated[float, typer.Option(help="Share of training images that get a rectangle of another one.")] = 0.0,
    rotate: Annotated[float, typer.Option(help="Largest angle that training images are turned by, degrees.")] = 0.0,
    unlabelled: Annotated[
        str, typer.Option(help="Pixels that a single-class dataset leaves unlabelled: marginal (unknown) or background.")
    ] = "marginal",
    siamese: Annotated[
        bool, typer.Option("--siamese", help="Show each image in a second appearance too, and pull both together.")
    ] = False,
    pull_features: Annotated[float, typer.Option(help="Weight of the features' distance for --siamese.")] = 0.5,
    pull_predictions: Annotated[float, typer.Option(help="Weight of the predictions' distance for --siamese.")] = 0.5,
    appearance: Annotated[float, typer.Option(help="How far the second appearance may be away, 0 to 1.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Loader processes. Default: one for each core.")] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Begin with this checkpoint's network and weights, e.g. a pruned one, or a shipped model's by its name."
        ),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(help="Weights for the encoder of unet-lite0 or a zoo network: imagenet, or a file of its state dict."),
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Leave the encoder of --init as it is.")] = False,
    teacher: Annotated[
        Path | None, typer.Option(help="Distil from this checkpoint: its logits and features are targets too.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Temperature of both networks' logits for --teacher.")] = 2.0,
    kd_weight: Annotated[float, typer.Option(help="Weight of the teacher's logits; 0 leaves them out.")] = 1.0,
    feature_weight: Annotated[float, typer.Option(help="Weight of the teacher's features; 0 leaves them out.")] = 0.1,
    teacher_scale: Annotated[float, typer.Option(help="The teacher sees images this many times as high and wide.")] = 1.0,
    classes: Annotated[str | None, typer.Option(help="Class list of a known dataset, e.g. camvid.")] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="YAML file with options of this command (epochs: 50), or a recipe's name; given options win.",
            is_eager=True,
            callback=load_recipe,
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Train a network on a folder dataset."""
    from ..core.artefact import write_json
    from ..core.errors import InputError, ProcessError
    from ..train.data.augment import AugmentConfig
    from ..train.distributed import leave, processes
    from ..train.losses.distill import DistillConfig
    from ..train.losses.siamese import SiameseConfig
    from ..train.trainer import OPTIMIZERS, TrainConfig, fit

    if half and precision:
        raise InputError(f"train: --half and --precision {precision} exclude each other; pass one of them")
    target = out or Path("runs") / f"{data.resolve().name}-{model}"
    wanted = TrainConfig(
        data=data, out=target, model=model, epochs=epochs, batch=batch, size_hw=parse_size(imgsz),
        crop_hw=parse_size(crop, "--crop"), seed=seed,
        lr=OPTIMIZERS.get(optimizer, 1.0) if lr is None else lr, optimizer=optimizer, weight_decay=weight_decay, loss=loss,
        class_weights=class_weights,
        branches=branches, aux=aux, accumulate=accumulate, patience=patience, deterministic=deterministic,
        classes=classes, precision=precision or ("half" if half else None), device=device, workers=workers,
        augment=AugmentConfig(parse_range(scale, "--scale"), flip, jitter, classmix, cutmix, rotate), init=init,
        pretrained=pretrained,
        unlabelled=unlabelled, freeze=freeze,
        siamese=SiameseConfig(pull_features, pull_predictions, appearance) if siamese else None,
        distill=DistillConfig(teacher, temperature, kd_weight, feature_weight, teacher_scale) if teacher else None,
        save_every=save_every, tensorboard=tensorboard,
    )  # fmt: skip
    try:
        report = fit(wanted, resume=resume)
    except ProcessError as error:
        if error.said:
            raise SystemExit(error.exit_code) from error
        raise
    leave()
    if not processes().first:
        return
    if json:
        write_json(json, report)
    best = report["best"]
    print(f"best val mIoU {100 * best['miou']:.2f} % in epoch {best['epoch']}  ({report['seconds']:.0f} s)")
    for name in ("best.pt", "last.pt", "metrics.csv", "curves.png", "report.json"):
        print(f"  {target / name}")
