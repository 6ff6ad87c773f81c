"""Names that the options of pruning accept."""

from __future__ import annotations

#: Name → description and paper.
IMPORTANCES: dict[str, str] = {
    "l1": "mean L1 norm of a channel's weights (Li et al., 2017)",
    "l2": "mean squared L2 norm of a channel's weights over its group (Fang et al., DepGraph, 2023)",
    "bn": "scale of batch normalization (Liu et al., Network Slimming, 2017)",
    "lamp": "L2 norm, normalized layer by layer (Lee et al., LAMP, 2021)",
    "taylor": "first-order change of the loss on training images (Molchanov et al., 2019)",
    "hessian": "second-order change of the loss, diagonal, on training images (LeCun et al., Optimal Brain Damage, 1989)",
    "random": "random, the baseline that every other one must beat",
}
#: Importances that need training images.
NEED_DATA = ("taylor", "hessian")
#: ``global`` removes the least important channels of the whole network, ``uniform`` the same share of each layer.
SCOPES = ("global", "uniform")
