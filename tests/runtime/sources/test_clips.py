"""Videos of many kinds against the ffmpeg program: number of frames, times, values. All clips: benchmarks/videos.py."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SourceError
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame.colours import Colours
from seg_edge.runtime.sources import VideoOptions, VideoSource, open_source

#: One of each kind, small and quick to make.
QUICK = (
    "h264-709.mp4", "h264-full.mp4", "h264-10.mp4", "interlaced.mpg", "turn-antidiagonal.mp4", "wide.mp4", "cropped.mp4",
    "variable.mp4", "late.mkv", "raw.h264",
)  # fmt: skip


@pytest.fixture(scope="module")
def clips(load_module, need):
    need("ffmpeg")
    return load_module("runtime/sources/clips.py")


@pytest.fixture
def clip(clips, tmp_path):
    """A function: a clip's name → its file."""
    return lambda name: clips.make(next(each for each in clips.CLIPS if each.name == name), tmp_path)


@pytest.mark.parametrize("name", QUICK)
def test_every_frame_and_its_time(clips, tmp_path, name):
    wanted = next(each for each in clips.CLIPS if each.name == name)
    row = clips.compare(wanted, clips.make(wanted, tmp_path))
    assert clips.agrees(row, wanted), row


def test_what_is_said_about_a_video(clip):
    with open_source(clip("h264-709.mp4")) as source:
        next(iter(source))
        about = source.health()[0]["video"]
    assert about["reader"].startswith("PyAV")
    assert (about["codec"], about["decoder"], about["pixel_format"]) == ("h264", "h264", "yuv420p")
    assert (about["matrix"], about["range"], about["primaries"], about["transfer"]) == ("bt709", "limited", "bt709", "sdr")
    assert (about["size"], about["hardware"], about["deinterlaced"]) == ([120, 160], False, False)


@pytest.mark.parametrize(
    ("name", "pixel_format", "colours"),
    [
        ("h264.mp4", "i420", Colours()),
        ("h264-709-full.mp4", "i420", Colours("bt709", True)),
        ("hevc-2020.mp4", "i010", Colours("bt2020")),
        ("mjpeg-422.mov", "i422", Colours("bt601", True)),
        ("turn-clockwise.mp4", "i420", Colours()),
        ("turn-flipped.mp4", "bgr", Colours()),  # its rows would lie in descending order
        ("wide.mp4", "bgr", Colours()),  # the scaler makes pixels square
        ("h264-rgb.mp4", "bgr", Colours()),
    ],
)
def test_frames_are_the_decoders_planes(clip, name, pixel_format, colours):
    with open_source(clip(name)) as source:
        frame = next(iter(source))
    assert (frame.pixel_format, frame.colours) == (pixel_format, colours)
    assert frame.image_bgr is frame.image_bgr
    assert frame.size_hw == frame.image_bgr.shape[:2] == tuple(source.video["size"])
    if pixel_format != "bgr":
        # The decoder may predict other frames from them.
        assert not any(plane.flags.writeable for plane in frame.image)
    assert (frame.image is frame.image_bgr) is (pixel_format == "bgr")


def test_planes_give_the_mask_of_their_bgr(clip, tiny_model):
    """The network sees the decoder's planes exactly as it would see the converted frame."""
    with Segmenter(tiny_model) as segmenter, open_source(clip("hevc-10.mkv")) as source:
        for frame in source:
            about = {"pixel_format": frame.pixel_format, "colours": frame.colours}
            result = segmenter.process(frame.image, **about)
            expected = segmenter.process(frame.image_bgr)
            assert (result.mask == expected.mask).all()
            assert (result.overlay_bgr == expected.overlay_bgr).all()


def test_interlaced_video_is_said_or_woven(clips, clip, caplog):
    path = clip("interlaced.mpg")
    with open_source(path) as source:
        progressive = [frame.image_bgr.copy() for frame in source]
        assert source.video["deinterlaced"]
    assert "is interlaced: deinterlaced by FFmpeg's bwdif" in caplog.text
    caplog.clear()
    with open_source(path, video=VideoOptions(weave=True)) as source:
        woven = [frame.image_bgr.copy() for frame in source]
        assert not source.video["deinterlaced"]
    assert caplog.text == ""
    assert len(progressive) == len(woven)

    wanted = next(each for each in clips.CLIPS if each.name == path.name)
    as_stored = clips.decoded(wanted._replace(before=""), path, clips.EXACT)[1]
    assert [np.abs(mine.astype(int) - theirs).max() <= 1 for mine, theirs in zip(woven, as_stored, strict=True)] == [
        True
    ] * 12
    assert np.abs(progressive[5].astype(int) - woven[5]).max() > 50


def test_opencv_refuses_what_it_would_leave_unfilled(clip):
    if tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 13):
        pytest.skip(f"OpenCV {cv2.__version__} reads interlaced video")
    with pytest.raises(SourceError, match=r"would show one constant image; install PyAV"):
        open_source(clip("interlaced.mpg"), video=VideoOptions(reader="opencv"))
    with open_source(clip("h264-709.mp4"), video=VideoOptions(reader="opencv")) as source:
        assert len(list(source)) == 12
        assert source.video["reader"].startswith("OpenCV")


def test_a_size_change_within_a_stream(clips, tmp_path):
    for name, size in (("a", (160, 120)), ("b", (96, 64))):
        clips.make(clips.Clip(f"{name}.ts", "-c:v libx264 -preset veryfast -pix_fmt yuv420p", size_wh=size), tmp_path)
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with open_source(both) as source:
        frames = [(frame.image_bgr.shape[:2], frame.time_s) for frame in source]
    assert [size for size, _ in frames] == [(120, 160)] * 12 + [(64, 96)] * 12
    times = [time for _, time in frames]  # those of the second part begin anew, and go on
    assert np.diff(times) == pytest.approx([0.04] * 23, abs=2e-3)


def test_damage_is_counted_and_read_over(clip, caplog):
    path = clip("mpeg4.avi")
    data = bytearray(path.read_bytes())
    at = data.index(b"00dc", len(data) // 2) + 8
    data[at : at + 40] = bytes(40)
    path.write_bytes(data)
    with open_source(path) as source:
        assert len(list(source)) + source.corrupt >= 11
    path = clip("h264.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    sizes = [int.from_bytes(data[at : at + 4], "big")]
    at += 4 + sizes[0]  # behind the encoder's remark: the first picture
    at += 4 + int.from_bytes(data[at : at + 4], "big")
    data[at : at + 300] = b"\xff" * 300  # lengths that can't be
    path.write_bytes(data)
    with open_source(path) as source:
        frames = list(source)
        assert source.corrupt >= 1
        assert len(frames) >= 9
        assert source.count == 12
    assert "damaged packets were skipped" in caplog.text


def test_colours_that_can_not_be_converted(clips, tmp_path):
    words = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -colorspace"
    path = clips.make(clips.Clip("constant.mkv", f"{words} bt2020c"), tmp_path)
    with open_source(path) as source, pytest.raises(SourceError, match="its colours are BT.2020 constant luminance"):
        list(source)
    # YCgCo, which the scaler would take for BT.601: green is green.
    clip = clips.Clip("green.mkv", f"{words} ycgco -color_range tv", source="color=black:s=64x48:r=10:d=0.3,format=yuv444p")
    path = clips.make(clip, tmp_path)
    with open_source(path) as source:
        assert max(frame.image_bgr.max() for frame in source) <= 2
        assert source.video["matrix"] == "ycgco"


def test_animated_images_are_videos(clips, tmp_path):
    for name, words in (("moving.webp", "-c:v libwebp_anim -loop 0"), ("moving.png", "-f apng -plays 0")):
        path = clips.make(clips.Clip(name, words, rate=10, seconds=0.5), tmp_path)
        with open_source(path) as source:
            assert isinstance(source, VideoSource)
            assert source.fps == pytest.approx(10)
            frames = [(frame.image_bgr.copy(), frame.time_s) for frame in source]
        assert [time for _, time in frames] == pytest.approx([0.1 * i for i in range(5)])
        assert len({image.tobytes() for image, _ in frames}) == 5
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), frames[0][0])
    with open_source(still) as source:
        assert not isinstance(source, VideoSource)


def test_decoders_fall_back_and_say_so(clip, caplog):
    for decoder in ("cuda", "vaapi", "v4l2m2m"):
        caplog.clear()
        with open_source(clip("h264.mp4"), video=VideoOptions(decoder=decoder)) as source:
            assert len(list(source)) == 12
            if not source.video["hardware"]:
                assert "decoding in software" in caplog.text
