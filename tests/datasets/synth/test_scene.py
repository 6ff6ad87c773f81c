"""Generated street scenes: determinism, ground truth, motion and domains."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import UnknownNameError
from seg_edge.core.labels import CAMVID
from seg_edge.core.metrics import agreement
from seg_edge.datasets.synth import DOMAINS, StreetScene
from seg_edge.datasets.synth.optics import Lens
from seg_edge.datasets.synth.writer import scene_seed

SIZE = (120, 160)


@cache
def scene(seed: int, domain: str = "day") -> StreetScene:
    return StreetScene(seed, SIZE, domain, fps=25)


@cache
def pictures(split: str, scenes: int, frames: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    rides = [StreetScene(scene_seed(3, split, number), SIZE, fps=0.5) for number in range(scenes)]
    return [ride.frame(index) for ride in rides for index in range(frames)]


def luminance(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(np.float64)


class TestDeterminism:
    def test_same_seed_gives_the_same_bytes(self) -> None:
        for a, b in zip(scene(5).frame(7), StreetScene(5, SIZE, fps=25).frame(7), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize(
        ("seed", "domain", "pixels", "bgr"),
        [
            (0, "day", [1039, 385, 0, 1535, 8, 269, 0, 27, 1537, 0, 0, 0], (99.0, 99.1, 115.7)),
            (3, "rain", [632, 1352, 0, 1820, 63, 568, 0, 164, 201, 0, 0, 0], (106.5, 100.7, 96.4)),
            (11, "camera2", [930, 1152, 0, 1618, 24, 122, 0, 274, 680, 0, 0, 0], (87.0, 103.4, 123.4)),
        ],
    )
    def test_a_seed_is_the_same_street_in_every_version(
        self, seed: int, domain: str, pixels: list[int], bgr: tuple[float, ...]
    ) -> None:
        """A draw more, or in another order, is another street. Machines may differ in a rounding, so not in bytes."""
        frame, mask = StreetScene(seed, (60, 80), domain, fps=0.5).frame(5)
        np.testing.assert_allclose(np.bincount(mask.ravel(), minlength=12), pixels, atol=12)
        np.testing.assert_allclose(frame.reshape(-1, 3).mean(0), bgr, atol=0.5)

    def test_order_does_not_matter(self) -> None:
        # 400 frames are far enough apart that the street between them is built, dropped and built again.
        fresh = {index: StreetScene(6, SIZE, fps=25).frame(index) for index in (0, 400, 3)}
        ride = StreetScene(6, SIZE, fps=25)
        for index in (0, 400, 3, 0):
            frame, mask = ride.frame(index)
            fresh_frame, fresh_mask = fresh[index]
            np.testing.assert_array_equal(frame, fresh_frame)
            np.testing.assert_array_equal(mask, fresh_mask)

    def test_time_counts_not_the_frame_number(self) -> None:
        np.testing.assert_array_equal(StreetScene(6, SIZE, fps=50).frame(8)[1], StreetScene(6, SIZE, fps=25).frame(4)[1])

    def test_other_seed_gives_another_street(self) -> None:
        assert agreement(scene(5).frame(0)[1], scene(6).frame(0)[1]) < 0.9

    def test_noise_differs_between_frames(self) -> None:
        sky = [scene(8).frame(index)[0][:8].astype(int) for index in (0, 1)]
        assert (sky[0] != sky[1]).mean() > 0.3

    def test_frames_belong_to_the_caller(self) -> None:
        frame, mask = scene(5).frame(0)
        kept = frame.copy(), mask.copy()
        scene(5).frame(1)
        np.testing.assert_array_equal(frame, kept[0])
        np.testing.assert_array_equal(mask, kept[1])


class TestGroundTruth:
    def test_all_classes_at_sensible_frequencies(self) -> None:
        masks = np.stack([mask for _, mask in pictures("train", 12)])
        share = np.bincount(masks.ravel(), minlength=256) / masks.size
        assert share[12:].sum() == 0
        limits = {
            "sky": (0.05, 0.35), "building": (0.10, 0.40), "pole": (0.005, 0.05), "road": (0.20, 0.45),
            "pavement": (0.015, 0.12),
            "tree": (0.03, 0.25), "sign symbol": (0.002, 0.03), "fence": (0.005, 0.08), "car": (0.02, 0.18),
            "pedestrian": (0.001, 0.03), "bicyclist": (0.001, 0.04),
        }  # fmt: skip
        for i, name in enumerate(CAMVID.names):
            low, high = limits[name]
            assert low <= share[i] <= high, (name, share[i])
        assert 0 < share[CAMVID.ignore_index] < 0.08

    def test_rare_classes_are_in_many_pictures(self) -> None:
        masks = [mask for _, mask in pictures("train", 12)]
        for name in ("pole", "sign symbol", "pedestrian", "bicyclist"):
            seen = np.mean([(mask == CAMVID.names.index(name)).sum() >= 6 for mask in masks])
            assert seen >= 0.35, (name, seen)

    def test_the_street_is_where_streets_are(self) -> None:
        masks = np.stack([mask for _, mask in pictures("train", 12)])
        assert (masks[:, : SIZE[0] // 3] == CAMVID.names.index("road")).mean() == 0
        assert (masks[:, 2 * SIZE[0] // 3 :] == CAMVID.names.index("sky")).mean() == 0
        centre = masks[:, int(0.8 * SIZE[0]), SIZE[1] // 2]
        assert (centre == CAMVID.names.index("road")).mean() > 0.8

    @pytest.mark.parametrize("domain", ["day", "camera2"])
    def test_mask_edges_lie_on_image_edges(self, domain: str) -> None:
        ride = StreetScene(4, (240, 320), domain, fps=1)
        on, beside, anywhere = [], [], []
        for index in range(3):
            frame, mask = ride.frame(index)
            grey = cv2.GaussianBlur(luminance(frame), (0, 0), 0.7)
            slope = np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1))
            edge = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
            on.append(slope[edge].mean())
            beside.append(slope[np.roll(edge, (5, 5), (0, 1))].mean())
            anywhere.append(slope.mean())
        assert np.mean(on) > 1.7 * np.mean(anywhere)
        assert np.mean(on) > 1.3 * np.mean(beside)

    def test_lens_bends_picture_and_mask_alike(self) -> None:
        domain = scene(1, "camera2").domain
        lens = Lens(SIZE, domain.focal * SIZE[1], domain)
        height, width = lens.canvas_hw
        assert height > SIZE[0]
        assert width > SIZE[1]
        y, x = np.mgrid[:height, :width]
        mask = ((x // 9 + y // 9) % 2 * 10).astype(np.uint8)
        frame, bent = lens.apply(cv2.merge([mask * 10] * 3), mask)
        inside = cv2.erode((frame[..., 0] % 100 == 0).astype(np.uint8), np.ones((3, 3))) > 0
        assert inside.mean() > 0.3
        np.testing.assert_array_equal(frame[..., 0][inside], bent[inside] * 10)
        assert agreement((frame[..., 0] > 50).astype(np.uint8) * 10, bent) > 0.96


class TestMotion:
    def test_neighbouring_frames_almost_agree_and_distant_ones_do_not(self) -> None:
        for seed in (5, 6, 8):
            masks = [scene(seed).frame(index)[1] for index in (10, 11, 60)]
            near, far = agreement(masks[0], masks[1]), agreement(masks[0], masks[2])
            assert 0.88 < near < 1.0
            assert far < near - 0.02

    def test_the_camera_drives_on(self) -> None:
        # Driving forward, what is seen on the ground moves down and away from the middle.
        before, after = (luminance(scene(5).frame(index)[0]) for index in (0, 2))
        flow = cv2.calcOpticalFlowFarneback(before.astype(np.uint8), after.astype(np.uint8), None, 0.5, 3, 15, 3, 5, 1.2, 0)
        road = (scene(5).frame(0)[1] == CAMVID.names.index("road")) & (np.arange(SIZE[0])[:, None] > 0.7 * SIZE[0])
        assert np.median(flow[..., 1][road]) > 0.3

    def test_things_move_on_their_own(self) -> None:
        label = CAMVID.names.index("pedestrian")
        sizes = {int((scene(seed).frame(index)[1] == label).sum()) for seed in (5, 6) for index in range(0, 50, 5)}
        assert len(sizes) > 5


class TestDomains:
    def test_weather_leaves_the_ground_truth_alone(self) -> None:
        day = scene(9).frame(12)
        for domain in ("dusk", "night", "fog", "rain"):
            frame, mask = scene(9, domain).frame(12)
            np.testing.assert_array_equal(mask, day[1])
            assert np.abs(frame.astype(int) - day[0]).mean() > 10

    def test_each_changes_what_it_says(self) -> None:
        frames = {name: [scene(seed, name).frame(12)[0] for seed in (5, 9)] for name in DOMAINS}
        light = {name: np.mean(many) for name, many in frames.items()}
        contrast = {name: np.mean([luminance(frame).std() for frame in many]) for name, many in frames.items()}
        assert light["dusk"] < 0.75 * light["day"]
        assert light["night"] < 0.75 * light["dusk"]
        assert contrast["dusk"] < 0.7 * contrast["day"]
        colour = {
            name: np.mean([np.ptp(frame.astype(int), axis=2).mean() for frame in many]) for name, many in frames.items()
        }
        assert colour["fog"] < 0.8 * colour["day"]
        assert colour["rain"] < 0.95 * colour["day"]
        warmth = {
            name: np.mean([frame[..., 2].mean() / frame[..., 0].mean() for frame in many]) for name, many in frames.items()
        }
        assert warmth["camera2"] > 1.1 * warmth["day"]

    def test_fog_swallows_the_distance(self) -> None:
        def gap(domain: str, label: str) -> float:
            values = []
            for seed in (5, 6, 9):
                frame, mask = scene(seed, domain).frame(12)
                mid = slice(SIZE[0] // 3, SIZE[0] // 2)  # just above the horizon: the far end of the street
                pixels = luminance(frame)[mid, 60:100][mask[mid, 60:100] == CAMVID.names.index(label)]
                if pixels.size > 20:
                    values.append(pixels.std())
            return float(np.mean(values))

        assert gap("fog", "building") < 0.6 * gap("day", "building")

    def test_camera2_sees_more(self) -> None:
        assert agreement(scene(9, "camera2").frame(12)[1], scene(9).frame(12)[1]) < 0.9

    def test_every_domain_has_valid_masks(self) -> None:
        for name in DOMAINS:
            frame, mask = scene(9, name).frame(30)
            assert frame.shape == (*SIZE, 3)
            assert mask.shape == SIZE
            assert frame.dtype == mask.dtype == np.uint8
            assert mask.max() <= CAMVID.ignore_index


class TestArguments:
    @pytest.mark.parametrize("size_hw", [(97, 131), (33, 47), (131, 96), (64, 256)])
    @pytest.mark.parametrize("domain", ["day", "camera2"])
    def test_any_size(self, size_hw: tuple[int, int], domain: str) -> None:
        frame, mask = StreetScene(2, size_hw, domain).frame(3)
        assert frame.shape == (*size_hw, 3)
        assert mask.shape == size_hw
        assert len(np.unique(mask)) > 3

    def test_errors_say_what_is_valid(self) -> None:
        with pytest.raises(ValueError, match=r"size_hw must be .* got \(8, 480\)"):
            StreetScene(0, (8, 480))
        with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
            StreetScene(-1)
        with pytest.raises(ValueError, match="fps must be above 0, got 0"):
            StreetScene(0, fps=0)
        with pytest.raises(UnknownNameError, match="did you mean 'dusk'"):
            StreetScene(0, domain="dsk")
        with pytest.raises(ValueError, match="index must be 0 or more, got -3"):
            scene(5).frame(-3)
