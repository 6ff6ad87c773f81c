"""The canvas against geometry worked out by hand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from seg_edge.datasets.synth.draw.canvas import Camera, Canvas, GroundBand, Haze, Texture, clip_near
from seg_edge.datasets.synth.draw.planes import Plane, PlaneSet, upright, wall
from seg_edge.datasets.synth.draw.sticks import Sticks
from seg_edge.datasets.synth.draw.textures import Light, fractal
from seg_edge.datasets.synth.vehicles import SHAPES, project, vehicle

SIZE = (60, 80)


def camera(yaw: float = 0.0, pitch: float = 0.0, height: float = 1.5) -> Camera:
    return Camera(SIZE, 100.0, np.array([0.0, height, 0.0]), yaw, pitch)


def flat(label: int, alpha: np.ndarray | None = None, mode: str = "cut") -> Texture:
    return Texture(np.full((16, 16, 3), 200, np.uint8), label, alpha, mode)


def drawn(planes: list[Plane], view: Camera, haze: Haze | None = None) -> Canvas:
    canvas = Canvas(SIZE)
    for quad in PlaneSet(planes).project(view, 100.0):
        canvas.quad(quad, haze)
    return canvas


def test_horizon_follows_pitch() -> None:
    assert camera().horizon == pytest.approx(29.5)
    assert camera(pitch=0.1).horizon == pytest.approx(29.5 + 100 * math.tan(0.1))
    point = camera(yaw=0.1, pitch=0.05).homogeneous(np.array([[1e7, 1.5, 1e8]]))[0]
    assert point[1] / point[2] == pytest.approx(29.5 + 100 * math.tan(0.05), abs=0.5)


def test_upright_plane_covers_the_pixels_it_should() -> None:
    # 2 m wide, 1 m high, 10 m away, its foot on the ground: 20 x 10 pixels, from 1.5 m below the horizon upwards.
    canvas = drawn([upright(flat(7), 0.5, 10.0, 2.0, 1.0)], camera())
    rows, columns = np.nonzero(canvas.bgrl[..., 3] == 7)
    assert (columns.min(), columns.max()) == (pytest.approx(39.5 - 5, abs=1), pytest.approx(39.5 + 15, abs=1))
    assert (rows.min(), rows.max()) == (pytest.approx(29.5 + 5, abs=1), pytest.approx(29.5 + 15, abs=1))
    np.testing.assert_allclose(canvas.inverse_depth[40, 45], 0.1, rtol=1e-4)


def test_wall_depth_follows_the_street() -> None:
    canvas = drawn(wall(flat(1), 2.0, 4.0, 40.0, 6.0, right=True), camera())
    row = canvas.inverse_depth[25]
    # At column u the wall X = 2 is at depth 2 * focal / (u - centre).
    for u in (50, 60, 75):
        assert canvas.bgrl[25, u, 3] == 1
        assert 1 / row[u] == pytest.approx(200 / (u - 39.5), rel=1e-3)


def test_wall_that_passes_the_camera_is_clipped_not_mirrored() -> None:
    canvas = drawn(wall(flat(1), 2.0, -10.0, 20.0, 6.0, right=True), camera())
    seen = canvas.bgrl[..., 3] == 1
    assert seen[:, 79].all()
    assert not seen[:, :48].any()


def test_pieces_give_the_same_mask_as_the_whole() -> None:
    texture = flat(1)
    pieces = drawn(wall(texture, -2.0, 3.0, 15.0, 4.0, right=False, split_m=3.0), camera())
    whole = drawn(wall(texture, -2.0, 3.0, 15.0, 4.0, right=False), camera())
    # Their corners are rounded to sixteenths of a pixel on their own, so single pixels of the outline may differ.
    assert (pieces.bgrl[..., 3] != whole.bgrl[..., 3]).mean() < 0.005
    inner = (slice(12, 36), slice(0, 20))
    assert (pieces.bgrl[inner][..., 3] == 1).all()


def test_cut_texture_leaves_holes_and_blend_labels_them() -> None:
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, :8] = 255
    cut = drawn([upright(flat(5, alpha), 0.0, 5.0, 1.0, 1.0)], camera()).bgrl
    assert set(cut[50, 31:38, 3]) == {5}
    assert set(cut[50, 42:49, 3]) == {0}
    haze = Haze(0.0, (0, 0, 0))
    blend = drawn([upright(flat(7, alpha, "blend"), 0.0, 5.0, 1.0, 1.0)], camera(), haze).bgrl
    assert set(blend[50, 31:48, 3]) == {7}
    assert blend[50, 33, 0] == 200
    assert blend[50, 46, 0] == 0


def test_shade_darkens_and_keeps_the_class() -> None:
    canvas = Canvas(SIZE)
    canvas.bgrl[:] = (100, 100, 100, 3)
    shade = flat(0, np.full((16, 16), 128, np.uint8), "shade")
    for quad in PlaneSet([Plane(shade, (-1.0, 0.0, 9.0), (2.0, 0.0, 0.0), (0.0, 0.0, -4.0))]).project(camera(), 100.0):
        canvas.quad(quad, Haze(0.0, (0, 0, 0)))
    assert (canvas.bgrl[..., 3] == 3).all()
    assert canvas.bgrl[..., 0].min() == pytest.approx(50, abs=2)


def test_ground_rows_show_their_own_metres() -> None:
    # Each texture row is one metre of street and has its number as its colour; the road is 3, beyond x = 1 pavement 4.
    bgrl = np.zeros((64, 40, 4), np.uint8)
    bgrl[..., :3] = np.arange(64)[:, None, None]
    bgrl[..., 3] = np.where(np.arange(40) < 22, 3, 4)
    canvas, view = Canvas(SIZE), camera(pitch=-0.1)
    canvas.ground(view, [GroundBand(bgrl, -10.0, (20.0, 64.0), 400.0)], 48.0)
    for v in (35, 45, 55):
        down = math.atan((v - 29.5) / 100) + 0.1
        ahead = 1.5 / math.tan(down)
        assert canvas.bgrl[v, 40, 0] + 0.5 == pytest.approx(ahead, abs=1.0)
        depth = 1 / canvas.inverse_depth[v, 40]
        assert depth == pytest.approx(ahead * math.cos(0.1) + 1.5 * math.sin(0.1), rel=1e-3)
        edge = 39.5 + 100 * 1.0 / depth
        assert canvas.bgrl[v, math.floor(edge - 1), 3] == 3
        if edge + 2 < SIZE[1]:
            assert canvas.bgrl[v, math.ceil(edge + 1), 3] == 4


def test_ground_bands_change_at_their_distance() -> None:
    bands = [
        GroundBand(np.full((8, 8, 4), value, np.uint8), -10.0, (20.0, 500.0), until)
        for value, until in ((1, 6.0), (2, 12.0), (3, 400.0))
    ]
    canvas, view = Canvas(SIZE), camera()
    canvas.ground(view, bands, 48.0)
    depth = 1 / canvas.inverse_depth[31:, 0]
    wanted = np.select([depth < 6, depth < 12], [1, 2], 3)
    # One row may lie on either side of a boundary.
    assert (np.abs(canvas.bgrl[31:, 0, 0].astype(int) - wanted) > 0).sum() <= 2
    assert set(canvas.bgrl[31:, 0, 0]) == {1, 2, 3}


def test_haze_hides_by_distance() -> None:
    canvas = Canvas(SIZE)
    canvas.bgrl[:] = (0, 0, 0, 4)
    canvas.inverse_depth[:] = 1 / 50
    canvas.apply_haze(Haze(0.02, (200, 180, 160)))
    share = 1 - math.exp(-1)
    np.testing.assert_allclose(canvas.bgrl[0, 0], (200 * share, 180 * share, 160 * share, 4), atol=2)


def test_near_clipping() -> None:
    square = np.array([[0.0, 0, -1], [1, 0, 1], [1, 1, 1], [0, 1, -1]])
    out = clip_near(square)
    assert len(out) == 4
    assert out[:, 2].min() == pytest.approx(0.35)
    assert len(clip_near(square * [1, 1, -1] - [0, 0, 3])) == 0


def test_vehicles_fill_their_outline() -> None:
    haze, light = Haze(0.0, (0, 0, 0)), Light(0.3, 0.5, 0.0)
    for name, heading in ((name, heading) for name in SHAPES for heading in (math.pi, 2.4, math.pi / 2, 0.5)):
        solid = vehicle(np.random.default_rng(1), name, lit=False).placed(heading, light)
        canvas = Canvas(SIZE)
        (shape,) = project(camera(), haze, [(solid, 1.0, 12.0, 12.0)])
        canvas.polygons(shape.polygons, shape.colours, shape.label)
        mask = canvas.bgrl[..., 3] == 8
        # Width and height of the nearer end, and no hole where the background would shine through.
        if heading == math.pi:
            assert mask.any(0).sum() == pytest.approx(100 * solid.size[0] / (12.0 - solid.size[2] / 2), rel=0.25)
        corners = np.argwhere(mask[: np.nonzero(mask.any(1))[0].max() - 6])[:, ::-1]
        hull = cv2.fillConvexPoly(np.zeros(SIZE, np.uint8), cv2.convexHull(corners.astype(np.int32)), 1) > 0
        # Windscreens and bonnets make it not quite convex.
        assert (hull & ~mask).sum() <= 0.20 * hull.sum(), (name, heading)


def test_sticks_have_the_size_they_claim() -> None:
    post = Sticks([(0.0, 0.0, 10.0, 0.0, 3.0, 10.0, 0.2, 0.2)], [(100, 100, 100)])
    drawn_posts = post.project(camera(), Light(0.0, 0.0, 0.0))
    outline = drawn_posts.outline[0] / 16
    assert np.ptp(outline[:, 0]) == pytest.approx(4.0, abs=0.1)
    assert np.ptp(outline[:, 1]) == pytest.approx(30.0, abs=2.5)
    assert drawn_posts.depth[0] == pytest.approx(10.0)


def test_noise_tiles() -> None:
    noise = fractal(np.random.default_rng(0), (64, 96), 16)
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    inner = np.abs(np.diff(noise, axis=0)).mean()
    assert np.abs(noise[0] - noise[-1]).mean() < 2 * inner
