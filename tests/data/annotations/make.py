"""Writes the files of this folder with the annotation tools' own libraries: ``python make.py TOOL``, the tool installed.

Each sub-folder gets the tool's files, and ``expected/TOOL/NAME.png`` the class numbers (0 is background, then the tool's own
order) as the tool's own library draws them. Every image shows two classes, parts that overlap, and shapes without an area.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import PIL.Image

HERE = Path(__file__).parent
H, W = 30, 40
# No tenths: pycocotools rounds to fifths of a pixel, where float32 and float64 may part.
POLYGON = [(3.23, 4.14), (20.72, 5.56), (18.34, 25.92), (4.04, 22.06)]
HOLE = [(8, 10), (12, 10), (12, 14), (8, 14)]


def bitmap() -> np.ndarray:
    """A mask with a hole and a loose pixel: bool (30, 40)."""
    mask = np.zeros((H, W), bool)
    mask[5:12, 6:20] = True
    mask[7:9, 10:13] = False
    mask[28, 38] = True
    return mask


def image(seed: int = 0) -> np.ndarray:
    """A gradient: uint8 (30, 40, 3)."""
    y, x = np.mgrid[:H, :W]
    return np.stack([x * 6, y * 8, np.full_like(x, 40 * seed)], -1).astype(np.uint8)


def fresh(name: str) -> Path:
    """An empty folder, beside an empty one for the expected masks."""
    for folder in (HERE / "expected" / name, HERE / name):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    return folder


def expect(folder: Path, name: str, mask: np.ndarray) -> None:
    """Writes class numbers."""
    PIL.Image.fromarray(mask.astype(np.uint8)).save(HERE / "expected" / folder.name / f"{name}.png")


def labelme() -> None:
    """LabelMe 7.9.1: polygons, rectangles, circles, oriented rectangles, masks, one of which leaves the image; a point."""
    from labelme._label_file import Annotation, write_label_file
    from labelme._utils._mask import shapes_to_label

    folder = fresh("labelme")

    def shape(label: str, kind: str, points: list, mask: np.ndarray | None = None) -> dict:
        return {
            "label": label, "shape_type": kind, "points": [list(map(float, p)) for p in points], "mask": mask, "flags": {},
            "description": "", "group_id": None, "locked": False, "other_data": {},
        }  # fmt: skip

    patch = bitmap()[5:12, 6:20]
    shapes = [
        shape("car", "polygon", POLYGON),
        shape("road", "mask", [(6, 5), (19, 11)], patch),
        shape("road", "oriented_rectangle", [(25, 3), (33, 7), (31, 11), (23, 7)]),
        shape("car", "circle", [(30, 20), (34, 20)]),
        shape("car", "mask", [(35, 25), (48, 31)], patch),  # leaves the image on two sides
        shape("road", "rectangle", [(1, 24), (6, 28)]),
    ]
    points = [shape("car", "point", [(2, 2)]), shape("car", "linestrip", [(2, 2), (9, 9), (20, 9)])]
    PIL.Image.fromarray(image()).save(folder / "a.png")
    annotation = Annotation("a.png", b"", [*shapes, *points], {}, {})
    write_label_file(
        filename=str(folder / "a.json"), annotation=annotation, image_height=H, image_width=W, save_image_data=False
    )
    values, _ = shapes_to_label(img_shape=(H, W), shapes=shapes, label_name_to_value={"car": 1, "road": 2})
    expect(folder, "a", values)


def label_studio() -> None:
    """label-studio-sdk: brushes packed by its own encoder; a polygon, a rectangle and a key point in per cent."""
    from label_studio_sdk.converter import brush

    folder = fresh("label-studio")
    size = {"original_width": W, "original_height": H, "image_rotation": 0}

    def result(number: str, kind: str, label: str, **value: object) -> dict:
        names = {"from_name": "tag", "to_name": "image", "type": kind, "origin": "manual"}
        return {"id": number, **names, **size, "value": {**value, kind: [label]}}

    def per_cent(points: list) -> list:
        return [[x / W * 100, y / H * 100] for x, y in points]

    mask = bitmap()
    packed = brush.mask2rle(mask.astype(np.uint8) * 255)
    square = [(22, 3), (32, 3), (32, 11), (22, 11)]
    results = [
        result("a", "polygonlabels", "road", points=per_cent(square), closed=True),
        result("b", "brushlabels", "car", format="rle", rle=packed),
        result("c", "rectanglelabels", "car", x=50.0, y=50.0, width=25.0, height=20.0, rotation=0),
        result("d", "keypointlabels", "car", x=50.0, y=50.0, width=1.0),
    ]
    task = {
        "id": 7, "data": {"image": "/data/upload/3/0a1b2c3d-a.png"}, "predictions": [],
        "annotations": [{"id": 1, "was_cancelled": False, "ground_truth": False, "result": results}],
    }  # fmt: skip
    PIL.Image.fromarray(image()).save(folder / "a.png")
    (folder / "project-3-at-2026-11-30.json").write_text(json.dumps([task]))
    values = np.zeros((H, W), np.uint8)
    values[3:11, 22:32] = 2
    values[brush.decode_rle(packed).reshape(H, W, 4)[..., 3] > 0] = 1
    values[15:21, 20:30] = 1
    expect(folder, "a", values)


def _drawn_by_datumaro(dataset: object, folder: Path, name_of: dict[str, str]) -> None:
    from datumaro.components.annotation import AnnotationType
    from datumaro.util import mask_tools

    flat = (AnnotationType.polygon, AnnotationType.bbox, AnnotationType.ellipse)
    for item in dataset:
        height, width = item.media.size
        values = np.zeros((height, width), np.uint8)
        for annotation in sorted(item.annotations, key=lambda entry: getattr(entry, "z_order", 0)):
            if annotation.type == AnnotationType.mask:
                inside = annotation.image
            elif annotation.type in flat:
                inside = mask_tools.rles_to_mask([annotation.as_polygon()], width, height)
            else:
                continue
            values[np.asarray(inside, bool)] = annotation.label + 1
        expect(folder, name_of[item.id], values)


def datumaro() -> None:
    """Datumaro: its own JSON, and CVAT's XML for images."""
    import datumaro as dm
    from datumaro.components.annotation import Bbox, Ellipse, Mask, Points, Polygon, PolyLine

    flat = [coordinate for point in POLYGON for coordinate in point]
    shapes = [
        Polygon(flat, label=0, z_order=1, id=1), Mask(bitmap(), label=1, z_order=2, id=2),
        Bbox(22, 3, 10, 8, label=1, z_order=0, id=3), PolyLine([1, 1, 5, 5], label=0, id=5), Points([1, 2], label=0, id=6),
    ]  # fmt: skip
    ellipse = Ellipse(24, 15, 36, 27, label=0, id=4)
    small = [Polygon([2, 2, 12, 2, 12, 12, 2, 12], label=1)]
    for kind, own in (("datumaro", [*shapes, ellipse]), ("cvat", shapes)):
        items = [
            dm.DatasetItem("cam1/0001", subset="train", media=dm.Image.from_numpy(image()), annotations=own),
            dm.DatasetItem("b", subset="val", media=dm.Image.from_numpy(image(1)[:20, :24]), annotations=small),
        ]
        dataset = dm.Dataset.from_iterable(items, categories=["car", "road"])
        folder = fresh(kind)
        dataset.export(str(folder), kind, save_media=True, image_ext=".png")
        _drawn_by_datumaro(dm.Dataset.import_from(str(folder), kind), folder, {"cam1/0001": "cam1_0001", "b": "b"})


def cvat_masks() -> None:
    """cvat-sdk: a mask packed and unpacked by its own functions, in the XML of a track as CVAT's server writes it."""
    from cvat_sdk.masks import decode_mask, encode_mask

    folder = fresh("cvat-video")
    *runs, left, top, right, bottom = encode_mask(bitmap())
    size = f'left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}"'
    rle = ", ".join(map(str, runs))
    shapes = [
        f'<mask frame="{n}" keyframe="{int(n == 0)}" outside="{int(n == 2)}" occluded="0" rle="{rle}" {size} z_order="0"/>'
        for n in range(3)
    ]
    (folder / "annotations.xml").write_text(
        "<annotations><version>1.1</version><meta><job><size>4</size><mode>interpolation</mode>"
        "<labels><label><name>car</name><color>#fa3253</color><type>any</type></label>"
        "<label><name>road</name><color>#3d3df5</color><type>any</type></label></labels>"
        f"<original_size><width>{W}</width><height>{H}</height></original_size></job></meta>"
        f'<track id="0" label="road" source="manual">{"".join(shapes)}</track></annotations>'
    )
    (folder / "images").mkdir()
    for number in range(4):
        PIL.Image.fromarray(image(number)).save(folder / "images" / f"frame_{number:06d}.PNG")
    for number in range(2):
        mask = decode_mask([*runs, left, top, right, bottom], image_width=W, image_height=H)
        expect(folder, f"frame_{number:06d}", mask * 2)


def supervisely() -> None:
    """Supervisely: bitmaps, polygons with holes and half pixels, rectangles, lines."""
    import supervisely as sly

    folder = fresh("supervisely")
    point = sly.PointLocation
    classes = [sly.ObjClass(name, sly.AnyGeometry, color=[80 * n, 20, 30]) for n, name in enumerate(("car", "road"), 1)]
    polygon = sly.Polygon([point(y, x) for x, y in POLYGON], [[point(y, x) for x, y in HOLE]])
    labels = [
        sly.Label(polygon, classes[0]), sly.Label(sly.Bitmap(bitmap()), classes[1]),
        sly.Label(sly.Rectangle(3, 22, 8, 30), classes[0]), sly.Label(sly.Polyline([point(1, 1), point(5, 5)]), classes[1]),
    ]  # fmt: skip
    annotation = sly.Annotation((H, W), labels)
    for part in ("img", "ann"):
        (folder / "ds0" / part).mkdir(parents=True)
    PIL.Image.fromarray(image()).save(folder / "ds0" / "img" / "a.png")
    (folder / "ds0" / "ann" / "a.png.json").write_text(json.dumps(annotation.to_json()))
    (folder / "meta.json").write_text(json.dumps(sly.ProjectMeta(classes).to_json()))
    drawn = np.zeros((H, W, 3), np.uint8)
    for label in sly.Annotation.from_json(annotation.to_json(), sly.ProjectMeta(classes)).labels[:3]:
        label.geometry.draw(drawn, [1 + classes.index(label.obj_class)] * 3)
    expect(folder, "a", drawn[..., 0])


def huggingface() -> None:
    """Hugging Face datasets: Parquet with columns of images and of label images, two splits."""
    import datasets

    folder = fresh("huggingface")
    values = np.zeros((H, W), np.uint8)
    values[bitmap()], values[20:, :5] = 2, 255
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Image()})
    (folder / "data").mkdir()
    for split, seed in (("train", 0), ("validation", 1)):
        rows = {"image": [PIL.Image.fromarray(image(seed))], "label": [PIL.Image.fromarray(np.roll(values, seed, 1))]}
        table = datasets.Dataset.from_dict(rows, features=features)
        table.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
        back = datasets.Dataset.from_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
        expect(folder, split, np.asarray(back[0]["label"]))
    (folder / "id2label.json").write_text(json.dumps({"0": "background", "1": "car", "2": "road"}))


def two_things() -> np.ndarray:
    """Class numbers: a thing with a hole and a loose pixel, and a block: uint8 (30, 40)."""
    values = np.zeros((H, W), np.uint8)
    values[15:25, 20:35] = 2
    values[bitmap()] = 1
    return values


def datumaro_layouts() -> None:
    """Datumaro: the folders of Pascal VOC, CamVid, Cityscapes, KITTI (as CVAT exports them too), and COCO's kinds."""
    import datumaro as dm
    from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, MaskCategories

    names, values = ("background", "car", "road"), two_things()
    colours = {0: (0, 0, 0), 1: (0, 0, 142), 2: (128, 64, 128)}
    categories = {AnnotationType.label: LabelCategories.from_iterable(names), AnnotationType.mask: MaskCategories(colours)}

    def item(name: str, subset: str, seed: int) -> object:
        mask = np.roll(values, seed, 1)
        masks = [Mask(mask == number, label=number, id=number + 1, group=number + 1) for number in range(3)]
        return dm.DatasetItem(name, subset=subset, media=dm.Image.from_numpy(image(seed)), annotations=masks)

    kinds = {
        "voc": "voc_segmentation",
        "camvid": "camvid",
        "cityscapes": "cityscapes",
        "kitti": "kitti_segmentation",
        "coco": "coco",
    }
    for name, kind in kinds.items():
        folder = fresh(name)
        dataset = dm.Dataset.from_iterable([item("a", "train", 0), item("b", "val", 1)], categories=categories)
        dataset.export(str(folder), kind, save_media=True, image_ext=".png")
        for stem, seed in (("a", 0), ("b", 1)):
            expect(folder, stem, np.roll(values, seed, 1))


def supervision() -> None:
    """supervision: YOLO's labels and YAML file, drawn by its own reader."""
    import supervision as sv

    folder = fresh("supervision")
    masks = np.stack([two_things() == 1, two_things() == 2])
    masks[0, 28, 38] = False  # its polygons need three corners
    PIL.Image.fromarray(image()).save(folder / "a.png")
    found = sv.Detections(xyxy=sv.mask_to_xyxy(masks), mask=masks, class_id=np.array([0, 1]))
    path = str(folder / "a.png")
    places = [str(folder / "train" / name) for name in ("images", "labels")]
    sv.DetectionDataset(["car", "road"], [path], {path: found}).as_yolo(*places, str(folder / "data.yaml"))
    (folder / "a.png").unlink()
    back = sv.DetectionDataset.from_yolo(*places, str(folder / "data.yaml"), force_masks=True)
    ((_, _, drawn),) = back
    values = np.zeros((H, W), np.uint8)
    for mask, number in zip(drawn.mask, drawn.class_id, strict=True):
        values[mask] = number + 1
    expect(folder, "a", values)


def ultralytics() -> None:
    """ultralytics: masks to YOLO's labels by its converter; the YAML file beside them by hand, after its documentation."""
    from ultralytics.data.converter import convert_segment_masks_to_yolo_seg

    folder = fresh("ultralytics")
    for split, seed in (("train", 0), ("val", 1)):
        masks = folder / "masks" / split
        for part in (masks, folder / "images" / split, folder / "labels" / split):
            part.mkdir(parents=True)
        mask = np.roll(np.where(bitmap(), 0, two_things()), seed, 1)
        mask[2:12, 3:15] = 1
        PIL.Image.fromarray(mask).save(masks / f"{split}.png")
        PIL.Image.fromarray(image(seed)).save(folder / "images" / split / f"{split}.png")
        convert_segment_masks_to_yolo_seg(str(masks), str(folder / "labels" / split), classes=2)
        expect(folder, split, mask)
    shutil.rmtree(folder / "masks")
    (folder / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: [car, road]\n")


def pillow() -> None:
    """Pillow: PNG files of indices with a colour map, as MATLAB's ``imwrite(labels, map)`` writes; classes from 1 up."""
    folder = fresh("index-png")
    for split, seed in (("train", 0), ("val", 1)):
        for part in ("images", "labels"):
            (folder / part / split).mkdir(parents=True)
        mask = np.roll(two_things(), seed, 1) + 1
        PIL.Image.fromarray(image(seed)).save(folder / "images" / split / f"{split}.png")
        labels = PIL.Image.fromarray(mask)
        labels.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
        labels.save(folder / "labels" / split / f"{split}.png")
        expect(folder, split, mask)


if __name__ == "__main__":
    makers = {"label-studio": label_studio, "cvat": cvat_masks, "datumaro-layouts": datumaro_layouts}
    others = (labelme, datumaro, supervisely, huggingface, supervision, ultralytics, pillow)
    makers |= {maker.__name__: maker for maker in others}
    makers[sys.argv[1]]()
