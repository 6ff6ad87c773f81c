"""Label Studio: the exports JSON and JSON-MIN with brushes, polygons, rectangles and ellipses; coordinates in per cent.

Brushes are packed by thi.ng's rle-pack: four channels, of which the last one, alpha, is the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ..regions.images import Draw, Region, Sample, Source, need, polygon
from ..regions.reading import ImageFiles, Reading, base_name, read_json
from ..regions.shapes import decode_image, ellipse, pairs, patch, rectangle, unbase64

_WITH_AREA = "polygons, brushes, rectangles or ellipses"
_IMAGE_KEYS = ("image", "img", "image_url", "url", "photo", "image")


def recognise(source: Path) -> str | None:
    """Why a folder or file is an export of Label Studio; None where it isn't."""
    for file in _files(source)[:5]:
        tasks = _tasks(file)
        if tasks:
            how = "annotations of tasks" if "annotations" in tasks[0] else "results with original_width"
            return f"{file.name} is a list of {how}"
    return None


def read(source: Path, reading: Reading) -> Source:
    """A JSON export, or the folder that it lies in with its images somewhere below.

    Images are found by their names: ``/data/upload/1/0a1b2c3d-cat.jpg`` may lie there as this or as ``cat.jpg``.

    Raises:
        DataError: another format, an image that is missing, a result that can't be read.
    """
    files = [file for file in _files(source) if _tasks(file)]
    if not files:
        raise DataError(f"{source}: no JSON export of Label Studio: a list of tasks with data and annotations")
    if len(files) > 1:
        raise DataError(f"{source}: has several exports ({', '.join(file.name for file in files)}); pass the right one")
    file = files[0]
    images = ImageFiles(file.parent)
    samples: list[Sample] = []
    names: set[str] = set()
    several = 0
    for number, task in enumerate(_tasks(file)):
        where = f"{file}: task {task.get('id', number)}"
        results, drafts = _results(task)
        several += drafts > 1
        labelled = list(_labelled(results, where, file, reading))
        names |= {label for label, _ in labelled}
        samples.append(_sample(task, labelled, images, file, where, reading))
    if several:
        reading.say(f"{several} tasks have several annotations; the ground truth is taken, else the newest")
    return Source(samples, tuple(sorted(names)), True)


def _files(source: Path) -> list[Path]:
    return [source] if source.is_file() and source.suffix == ".json" else sorted(source.glob("*.json"))


def _tasks(file: Path) -> list[dict[str, Any]]:
    """The tasks of an export; none where the file is something else."""
    with file.open("rb") as stream:
        if not stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
            return []
    try:
        tasks = read_json(file)
    except DataError:
        return []
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        return []
    full = all("data" in task and isinstance(task.get("annotations"), list) for task in tasks)
    return tasks if full or any(_flat_results(task) for task in tasks) else []


def _flat_results(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of JSON-MIN: lists of values with their kind in the key of their labels."""
    lists = [value for value in task.values() if isinstance(value, list)]
    return [entry for value in lists for entry in value if isinstance(entry, dict) and "original_width" in entry]


def _results(task: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The results of a task, and how many annotations it has that count."""
    if "annotations" not in task or not isinstance(task["annotations"], list):
        return [{"value": entry, **entry} for entry in _flat_results(task)], 1
    given = [entry for entry in task["annotations"] if isinstance(entry, dict) and not entry.get("was_cancelled")]
    if not given:
        return [], 0
    truth = [entry for entry in given if entry.get("ground_truth")]
    newest = max(truth or given, key=lambda entry: str(entry.get("updated_at") or entry.get("created_at") or ""))
    return [entry for entry in newest.get("result") or [] if isinstance(entry, dict)], len(given)


def _labelled(
    results: list[dict[str, Any]], where: str, file: Path, reading: Reading
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Results with their class. A tag without labels of its own gets them from another result of the same id."""
    by_id: dict[Any, list[str]] = {}
    for result in results:
        labels = _labels(result)
        if labels and "id" in result:
            by_id.setdefault(result["id"], labels)
    for number, result in enumerate(results):
        value = result.get("value")
        if not isinstance(value, dict) or "original_width" not in result:
            continue  # choices, texts, ratings, relations: they have no place in the image
        if result.get("type") == "labels" and any(
            other is not result and other.get("id") == result.get("id") for other in results
        ):
            continue
        here = f"{where}, result {result.get('id', number)}"
        kind = _kind(value)
        if kind is None:
            shown = str(result.get("type") or "shape").removesuffix("labels")
            reading.skip(shown, file, f"{here}: a {shown} has no area; expected {_WITH_AREA}")
            continue
        labels = _labels(result) or by_id.get(result.get("id"), [])
        if not labels:
            raise DataError(f"{here}: has no label; give it one, or delete it")
        yield labels[0], {**result, "kind": kind, "where": here}


def _labels(result: dict[str, Any]) -> list[str]:
    value = result.get("value")
    if not isinstance(value, dict):
        return []
    lists = (list_ for key, list_ in value.items() if key.endswith("labels") and isinstance(list_, list))
    return [str(label) for list_ in lists for label in list_]


def _kind(value: dict[str, Any]) -> str | None:
    if "rle" in value:
        return "brush"
    if "imageDataURL" in value:
        return "bitmask"
    if "points" in value:
        return "polygon"
    if "radiusX" in value:
        return "ellipse"
    return "rectangle" if "width" in value and "height" in value and "x" in value and "vertices" not in value else None


def _sample(
    task: dict[str, Any], labelled: list[tuple[str, dict[str, Any]]], images: ImageFiles, file: Path, where: str,
    reading: Reading,
) -> Sample:  # fmt: skip
    said = _image_of(task, where)
    name = base_name(said.partition("?d=")[2] or said)
    tail = name.partition("-")[2]  # an upload's name begins with eight digits of its hash
    path = images.find(said.partition("?d=")[2] or said) or images.find(name) or (images.find(tail) if tail else None)
    if path is None:
        raise DataError(f"{where}: image {name} is not below {file.parent}; put the images there, by their names")
    size = {(entry["original_height"], entry["original_width"]) for _, entry in labelled}
    if len(size) > 1:
        raise DataError(f"{where}: its results are for images of several sizes: {sorted(size)}")
    size_hw = (int(next(iter(size))[0]), int(next(iter(size))[1])) if size else None

    def regions(size_hw: tuple[int, int]) -> list[Region]:
        return [Region(label, _drawer(entry, size_hw, reading.clip), entry["where"]) for label, entry in labelled]

    return Sample(path.stem, path, path.suffix, None, regions, size_hw)


def _image_of(task: dict[str, Any], where: str) -> str:
    data = task["data"] if isinstance(task.get("data"), dict) else task
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    for key in (*_IMAGE_KEYS, *texts):
        if key in texts and (key in _IMAGE_KEYS or "." in texts[key].rpartition("/")[2]):
            return texts[key]
    raise DataError(f"{where}: names no image; expected one of {', '.join(_IMAGE_KEYS)} in its data")


def _drawer(entry: dict[str, Any], size_hw: tuple[int, int], clip: bool) -> Draw:
    value, where, kind = entry["value"], str(entry["where"]), entry["kind"]
    if kind == "brush":
        return patch(brush_mask(value["rle"], size_hw, where), 0, 0, where, clip)
    if kind == "bitmask":
        text = str(value["imageDataURL"]).partition("base64,")[2]
        pixels = decode_image(unbase64(text, where), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.shape[:2] != size_hw:
            raise DataError(f"{where}: its bitmask is no image of {size_hw[1]}x{size_hw[0]} pixels")
        channel = pixels if pixels.ndim == 2 else pixels[..., 3] if pixels.shape[2] == 4 else pixels.max(2)
        return patch(channel > 0, 0, 0, where, clip)
    scale = np.array(size_hw[::-1], np.float64) / 100
    if kind == "polygon":
        return polygon(pairs(value["points"], where) * scale, where, clip)
    x, y = (float(need(value, key, (int, float), where)) for key in ("x", "y"))
    turned = float(value.get("rotation") or 0)
    if kind == "ellipse":
        radii = float(value["radiusX"]) * scale[0], float(value["radiusY"]) * scale[1]
        return ellipse((x * scale[0], y * scale[1]), radii, where, clip, degrees=turned)
    right, bottom = x + float(value["width"]), y + float(value["height"])
    corners = (x * scale[0], y * scale[1], right * scale[0], bottom * scale[1])
    return rectangle(corners, where, clip, degrees=turned, about="corner")


def brush_mask(packed: Any, size_hw: tuple[int, int], where: str) -> npt.NDArray[np.bool_]:
    """A packed brush as bool (H, W): the pixels whose alpha is at least half of the brush's strongest.

    A brush has soft borders; what other programs pack may have an alpha of 1 instead of 255.

    Raises:
        DataError: not packed in this way, or for another size.
    """
    try:
        values = unpack(bytes(packed))
        alpha = values.reshape(*size_hw, 4)[..., 3]
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{where}: not a brush of {size_hw[1]}x{size_hw[0]} pixels ({' '.join(str(error).split())})"
        ) from error
    strongest = int(alpha.max(initial=0))
    return np.asarray((alpha.astype(np.int64) * 2 >= strongest) & (alpha > 0))


def unpack(data: bytes) -> npt.NDArray[np.uint8]:
    """Bytes of thi.ng's rle-pack → its values.

    A header of 32 bits count, 5 bits word size, four sizes of 4 bits; then runs: 1 bit "repeated", 2 bits which size, the
    length in so many bits, and one word, or as many as the run is long.

    Raises:
        ValueError, IndexError: the bytes end too early, or words are longer than 8 bits.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    # Text, because int() of a slice of it is the quickest way to a few bits.
    text = (bits + 48).tobytes().decode("ascii")
    count, word = int(text[:32], 2), int(text[32:37], 2) + 1
    if word > 8:
        raise ValueError(f"words of {word} bits")
    sizes = [int(text[37 + 4 * i : 41 + 4 * i], 2) + 1 for i in range(4)]
    weights = 1 << np.arange(word - 1, -1, -1)
    out = np.zeros(count, np.uint8)
    at, done = 53, 0
    while done < count:
        repeated, size = text[at] == "1", sizes[int(text[at + 1 : at + 3], 2)]
        at += 3
        length = int(text[at : at + size], 2) + 1
        at += size
        words = 1 if repeated else length
        if at + words * word > len(text) or done + length > count:
            raise ValueError("its runs end too late or too early")
        out[done : done + length] = bits[at : at + words * word].reshape(words, word) @ weights
        at += words * word
        done += length
    return out
