"""CVAT's XML: every shape, layers, subsets, tracks over images and over a video file."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools")
SIZE = (6, 8)
META = (
    "<meta><project><labels><label><name>road</name><color>#0000ff</color></label><label><name>car</name>"
    "<color>#ff0000</color></label><label><name>left eye</name><color>#00ff00</color><parent>face</parent></label></labels>"
    "</project></meta>"
)


def box(x0, y0, x1, y1, label="car", **more):
    rest = " ".join(f'{key}="{value}"' for key, value in more.items())
    return f'<box label="{label}" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" {rest}/>'


def image(shapes, name="a.png", number=0, more=""):
    return f'<image id="{number}" name="{name}" width="8" height="6" {more}>{shapes}</image>'


def cvat(bench, body, meta=META):
    return bench.text("annotations.xml", f"\ufeff<annotations><version>1.1</version>{meta}{body}</annotations>")


def test_layers_decide_what_lies_on_top(bench):
    bench.image("images/a.png")
    cvat(bench, image(box(1, 1, 5, 4, z_order=2) + box(0, 0, 8, 6, "road", z_order=1)))
    expected = np.ones(SIZE, np.uint8)
    expected[1:4, 1:5] = 2
    assert np.array_equal(bench.run("cvat")["train/a"], expected)
    # In the order of the task's labels, in their colours; a skeleton's points are no classes.
    assert bench.done.labels.names == ("background", "road", "car")
    assert bench.done.labels.palette == ((0, 0, 0), (0, 0, 255), (255, 0, 0))
    cvat(bench, image(box(1, 1, 5, 4) + box(0, 0, 8, 6, "road")))
    assert (bench.run("cvat")["train/a"] == 1).all()  # of one layer, the later one


def test_masks_are_relative_to_their_box(bench):
    bench.image("images/a.png")
    cvat(bench, image('<mask label="car" rle="1, 2, 1, 2" left="3" top="2" width="3" height="2" z_order="0"/>'))
    mask = bench.run("cvat")["train/a"]
    assert [tuple(p) for p in np.argwhere(mask).tolist()] == [(2, 4), (2, 5), (3, 4), (3, 5)]
    cvat(bench, image('<mask label="car" rle="1, 2, 1" left="3" top="2" width="3" height="2"/>'))
    line = bench.refused("cvat")
    assert "a.png, mask 0: not as CVAT writes it (ValueError: run lengths add up to 4, its image has 6 pixels)" in line
    cvat(bench, image('<mask label="car" rle="0, 6" left="-1" top="5" width="3" height="2"/>'))
    assert "its mask of 3x2 at (-1, 5) leaves the image of 8x6" in bench.refused("cvat")
    assert bench.run("cvat", clip=True)["train/a"].sum() == 2 * 2


@pytest.mark.parametrize("turned", [90, -270])
def test_boxes_turn_around_their_centre(bench, turned):
    bench.image("images/a.png")
    cvat(bench, image(box(2, 2, 6, 4, rotation=turned)))
    expected = np.zeros(SIZE, np.uint8)
    expected[1:5, 3:5] = 2
    assert np.array_equal(bench.run("cvat")["train/a"], expected)


def test_ellipses(bench):
    bench.image("images/a.png")
    cvat(bench, image('<ellipse label="car" cx="4" cy="3" rx="3" ry="1.5" rotation="90"/>'))
    mask = bench.run("cvat")["train/a"] > 0
    assert mask.any(1).sum() == 6
    assert mask.any(0).sum() <= 4  # it stands upright


def test_subsets_and_equal_names_in_folders(bench):
    for name in ("Train/cam1/0.png", "Train/cam2/0.png", "Validation/1.png"):
        bench.image(f"images/{name}")
    names = (("cam1/0.png", "Train"), ("cam2/0.png", "Train"), ("1.png", "Validation"))
    cvat(bench, "".join(image(box(1, 1, 5, 4), n, i, f'subset="{s}"') for i, (n, s) in enumerate(names)))
    assert set(bench.run("cvat")) == {"train/cam1_0", "train/cam2_0", "val/1"}
    (bench.root / "images/Validation/1.png").unlink()
    assert "image 1.png is not in " in bench.refused("cvat")


def track(shapes, label="car"):
    return f'<track id="0" label="{label}">{shapes}</track>'


def shape(frame, x, outside=0):
    return f'<box frame="{frame}" outside="{outside}" keyframe="1" xtl="{x}" ytl="1" xbr="{x + 2}" ybr="3"/>'


TRACK = track(shape(0, 1) + shape(1, 2) + shape(2, 2, outside=1))
VIDEO_META = (
    "<meta><task><labels><label><name>car</name></label></labels><original_size><width>8</width><height>6</height>"
    "</original_size><source>clip.avi</source></task></meta>"
)


def test_tracks_over_images(bench):
    for number in range(4):
        bench.image(f"images/frame_{number:06d}.PNG")
    cvat(bench, TRACK, VIDEO_META)
    masks = {name.partition("/")[2]: mask for name, mask in bench.run("cvat").items()}
    assert set(masks) == {"frame_000000", "frame_000001"}  # outside ends it
    assert masks["frame_000000"][1:3, 1:3].all()
    assert masks["frame_000001"][1:3, 2:4].all()
    assert any("2 frames show something; frames without a shape are left out" in note for note in bench.done.notes)
    cvat(bench, track(shape(0, 1) + shape(3, 2)), VIDEO_META)
    bench.run("cvat")
    assert any("track 0 has no shape between frames 0 and 3; CVAT writes every frame" in n for n in bench.done.notes)


def test_tracks_over_a_video_file(bench):
    bench.root.mkdir()
    video = cv2.VideoWriter(str(bench.root / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    if not video.isOpened():
        pytest.skip("this OpenCV writes no motion JPEG")
    for number in range(4):
        video.write(np.full((48, 64, 3), 60 * number, np.uint8))
    video.release()
    cvat(bench, TRACK.replace('outside="1"', 'outside="0"'), VIDEO_META.replace(">8<", ">64<").replace(">6<", ">48<"))
    bench.run("cvat")
    levels = {p.stem: round(float(cv2.imread(str(p)).mean()) / 60) for p in bench.done.data.glob("images/*/*.png")}
    assert levels == {"frame_000000": 0, "frame_000001": 1, "frame_000002": 2}
    cvat(bench, track(shape(9, 1)), VIDEO_META.replace(">8<", ">64<").replace(">6<", ">48<"))
    assert "clip.avi: frame 9 can't be decoded; the video has 4 frames" in bench.refused("cvat")
    (bench.root / "clip.avi").unlink()
    line = bench.refused("cvat")
    assert "frame 9 is missing (1 of 1 are); expected images/frame_000009.PNG, or the video clip.avi beside" in line


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("", "has no <image> and no <track>"),
        ("<image", "not readable as XML"),
        (image('<polygon label="car" points="1,1;2"/>'), "polygon 0: points must be pairs|not as CVAT writes it"),
        (image('<polygon label="car" points="1,1;90,1;2,4"/>'), r"the corner \(90.0, 1.0\) lies outside its image of 8x6"),
        (
            image('<polyline label="car" points="1,1;2,2"/>'),
            "a polyline has no area; expected polygon, box, ellipse or mask",
        ),
        (image('<box label="car" xtl="1"/>'), "box 0: not as CVAT writes it"),
        (image(box(1, 1, 2, 2, "dog")), "unknown class 'dog'"),
    ],
)
def test_mistakes(bench, body, text):
    bench.image("images/a.png")
    cvat(bench, body)
    import re

    line = bench.refused("cvat")
    assert re.search(text, line)
    assert "annotations.xml" in line
