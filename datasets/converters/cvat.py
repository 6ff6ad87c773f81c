"""CVAT's own XML, versions 1.1 for images and for video: polygons, boxes, ellipses, masks; tracks frame by frame.

Polygons cover the pixels that CVAT's other exports give them: it rasterizes with Datumaro, which asks pycocotools.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...core.errors import DataError, InputError
from ...core.labels import RGB
from ..regions import runs
from ..regions.frames import VIDEO_SUFFIXES, VideoFrames
from ..regions.images import Draw, Region, Sample, Source
from ..regions.reading import ImageFiles, Reading, flat_name, split_of
from ..regions.shapes import COCO_CORNERS, coco_polygon, ellipse, pairs, patch, rectangle

_WITH_AREA = "polygon, box, ellipse or mask"
_SHAPES = frozenset({"polygon", "box", "ellipse", "mask", "polyline", "points", "cuboid", "skeleton"})


class _Content:
    """What an XML file holds.

    Attributes:
        classes: Name → colour, in the order of the task's labels.
        images: (name, split, (H, W), shapes) of every ``<image>``.
        tracks: Frame → its shapes, of every ``<track>``.
        size_hw: Of a video's frames.
        source: The video's name.
    """

    def __init__(self) -> None:
        self.classes: dict[str, RGB | None] = {}
        self.images: list[tuple[str, str | None, tuple[int, int] | None, list[dict[str, str]]]] = []
        self.tracks: defaultdict[int, list[dict[str, str]]] = defaultdict(list)
        self.size_hw: tuple[int, int] | None = None
        self.source = ""
        self.step = 1


def recognise(source: Path) -> str | None:
    """Why a folder or file is CVAT's XML; None where it isn't."""
    for file in _xml_files(source)[:5]:
        try:
            for _, element in ElementTree.iterparse(file, events=("start",)):
                if element.tag == "annotations":
                    return f"{file.name} has <annotations>"
                break
        except (OSError, ElementTree.ParseError):
            continue
    return None


def read(source: Path, reading: Reading) -> Source:
    """CVAT's XML file, or the folder that its archive unpacks to: ``annotations.xml`` and ``images``, or a video beside it.

    Raises:
        DataError: another format, an image that is missing, a shape that can't be read.
    """
    files = _xml_files(source)
    if not files:
        raise DataError(f"{source}: no .xml file; expected CVAT for images or video, version 1.1")
    samples: list[Sample] = []
    classes: dict[str, RGB | None] = {}
    for file in files:
        content = _parse(file, reading)
        images = ImageFiles(file.parent)
        samples += [_sample(file, entry, images, reading) for entry in content.images]
        samples += _frames(file, content, reading)
        classes |= content.classes or dict.fromkeys(sorted(_used(content)))
    palette = tuple(colour for colour in classes.values() if colour is not None)
    return Source(samples, tuple(classes), True, palette if palette and len(palette) == len(classes) else None)


def _xml_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".xml" else []
    return [source / "annotations.xml"] if (source / "annotations.xml").is_file() else sorted(source.glob("*.xml"))


def _used(content: _Content) -> set[str]:
    shapes = [shape for *_, own in content.images for shape in own]
    return {shape["label"] for shape in [*shapes, *(s for own in content.tracks.values() for s in own)]}


def _parse(file: Path, reading: Reading) -> _Content:
    content = _Content()
    try:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "meta":
                _meta(element, content)
            elif element.tag == "image":
                size = element.get("height"), element.get("width")
                size_hw = (int(size[0]), int(size[1])) if size[0] and size[1] else None
                split = split_of([element.get("subset") or "", file.stem])
                content.images.append((element.attrib["name"], split, size_hw, list(_shapes(element))))
                element.clear()
            elif element.tag == "track":
                _track(element, content, file, reading)
                element.clear()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{file}: not readable as XML ({error})") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"{file}: not CVAT's XML ({type(error).__name__}: {error})") from error
    if not content.images and not content.tracks:
        raise DataError(f"{file}: has no <image> and no <track>; expected CVAT for images or video, version 1.1")
    return content


def _meta(meta: ElementTree.Element, content: _Content) -> None:
    for label in meta.iter("label"):
        name, colour = label.findtext("name"), label.findtext("color")
        if name and not label.findtext("parent"):  # a skeleton's points are labels too
            content.classes.setdefault(name, _colour(colour))
    height, width = (meta.findtext(f".//original_size/{key}") for key in ("height", "width"))
    content.size_hw = (int(height), int(width)) if height and width else None
    content.source = (meta.findtext(".//source") or "").strip()
    step = (meta.findtext(".//frame_filter") or "").partition("step=")[2]
    content.step = int(step) if step.isdigit() else 1


def _colour(text: str | None) -> RGB | None:
    digits = (text or "").strip().removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        return None
    return red, green, blue


def _shapes(parent: ElementTree.Element) -> Iterator[dict[str, str]]:
    label = parent.get("label")
    for element in parent:
        if element.tag in _SHAPES:
            own = {"label": label} if label is not None else {}
            yield {"kind": element.tag, **element.attrib, **own}


def _track(track: ElementTree.Element, content: _Content, file: Path, reading: Reading) -> None:
    last: int | None = None
    for shape in _shapes(track):
        frame = int(shape["frame"])
        if last is not None and frame > last + content.step:
            reading.say(
                f"warning: {file.name}: track {track.get('id')} has no shape between frames {last} and {frame}; CVAT writes "
                "every frame, so it was read as absent there"
            )
        last = None if shape.get("outside") == "1" else frame
        if last is not None:
            content.tracks[frame].append(shape)


def _sample(
    file: Path,
    entry: tuple[str, str | None, tuple[int, int] | None, list[dict[str, str]]],
    images: ImageFiles,
    reading: Reading,
) -> Sample:
    name, split, size_hw, shapes = entry
    root = file.parent
    near = [root / "images" / (split or ""), root / "images", root]
    path = images.find(name, near)
    if path is None:
        raise DataError(f"{file}: image {name} is not in {root / 'images'}; export with images, or put them there")
    return Sample(flat_name(name), path, path.suffix, split, lambda _size: _regions(file, name, shapes, reading), size_hw)


def _frames(file: Path, content: _Content, reading: Reading) -> Iterator[Sample]:
    """An image for every frame of a video that shows something."""
    if not content.tracks:
        return
    by_number = {}
    for path in ImageFiles(file.parent):
        digits = path.stem.rpartition("_")[2]
        if digits.isdigit():
            by_number[int(digits)] = path
    numbers = sorted(content.tracks)
    video = None
    if missing := [number for number in numbers if number not in by_number]:
        video = _video(file, content)
        if video is None:
            raise DataError(
                f"{file}: frame {missing[0]} is missing ({len(missing)} of {len(numbers)} are); expected "
                f"images/frame_{missing[0]:06d}.PNG, or the video {content.source or ''} beside the XML file"
            )
        by_number = {}
    reading.say(f"{file.name}: {len(numbers)} frames show something; frames without a shape are left out")
    for number in numbers:
        name, shapes = f"frame_{number:06d}", content.tracks[number]
        image = by_number[number] if video is None else video.frame(number)
        suffix = image.suffix if isinstance(image, Path) else ".png"
        yield Sample(
            name, image, suffix, None,
            lambda _size, name=name, shapes=shapes: _regions(file, name, shapes, reading),  # type: ignore[misc]
            content.size_hw,
        )  # fmt: skip


def _video(file: Path, content: _Content) -> VideoFrames | None:
    named = file.parent / content.source
    videos = [p for p in sorted(file.parent.iterdir()) if p.suffix.lower() in VIDEO_SUFFIXES]
    if content.source and named.is_file():
        return VideoFrames(named)
    return VideoFrames(videos[0]) if len(videos) == 1 else None


def _regions(file: Path, image: str, shapes: list[dict[str, str]], reading: Reading) -> list[Region]:
    regions = []
    # Stable: of one layer, later shapes lie on top.
    for number, shape in sorted(enumerate(shapes), key=lambda entry: int(entry[1].get("z_order") or 0)):
        where = f"{file}: {image}, {shape['kind']} {number}"
        try:
            draw = _drawer(shape, file, where, reading)
        except (KeyError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise DataError(f"{where}: not as CVAT writes it ({type(error).__name__}: {error})") from error
        if draw is not None:
            regions.append(Region(shape["label"], draw, where))
    return regions


def _drawer(shape: dict[str, str], file: Path, where: str, reading: Reading) -> Draw | None:
    kind, turned = shape["kind"], float(shape.get("rotation") or 0)
    if kind == "polygon":
        points = [list(map(float, pair.split(","))) for pair in shape["points"].split(";") if pair]
        return coco_polygon(pairs(points, where), where, reading.clip)
    if kind == "box":
        x0, y0, x1, y1 = (float(shape[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        return rectangle((x0, y0, x1, y1), where, reading.clip, degrees=turned, rule=coco_polygon)
    if kind == "ellipse":
        cx, cy, rx, ry = (float(shape[key]) for key in ("cx", "cy", "rx", "ry"))
        return ellipse((cx, cy), (rx, ry), where, reading.clip, degrees=turned, rule=coco_polygon, corners=COCO_CORNERS)
    if kind == "mask":
        left, top, width, height = (round(float(shape[key])) for key in ("left", "top", "width", "height"))
        counts = np.array(shape["rle"].split(","), np.int64)
        # Runs go along the rows of the mask's own box, not of the image.
        inside = runs.mask_of(counts.tolist(), (height, width), rows=True)
        return patch(inside, left, top, where, reading.clip)
    reading.skip(kind, file, f"{where}: a {kind} has no area; expected {_WITH_AREA}")
    return None
