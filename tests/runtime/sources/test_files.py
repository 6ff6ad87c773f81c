from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError, SourceError
from seg_edge.runtime import open_source
from seg_edge.runtime.sources import ImageSource, VideoOptions, VideoSource, names_files


@pytest.fixture
def video(tmp_path):
    """Ten frames, 64x48, 20 frames per second, growing brighter."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def test_video(video):
    with open_source(video) as source:
        assert isinstance(source, VideoSource)
        assert not source.live
        assert source.fps == pytest.approx(20)
        assert source.count == 10
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(10))
    assert frames[3].name == "clip_000003"
    assert [abs(int(frame.image_bgr.mean()) - 20 * i) <= 6 for i, frame in enumerate(frames)] == [True] * 10
    assert frames[0].image_bgr.shape == (48, 64, 3)
    times = [frame.captured_s for frame in frames]
    assert times == sorted(times)


def test_file_address(video):
    with open_source(f"file://{str(video).replace('clip', 'cl%69p')}") as source:
        assert len(list(source)) == 10


def test_folder_is_sorted(tmp_path):
    for name, value in (("b", 2), ("a", 1), ("c", 3)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((4, 6, 3), value, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(tmp_path) as source:
        assert source.count == 3
        assert source.fps is None
        frames = list(source)
    assert [(frame.name, frame.index, int(frame.image_bgr[0, 0, 0])) for frame in frames] == [
        ("a", 0, 1),
        ("b", 1, 2),
        ("c", 2, 3),
    ]


def test_single_image(tmp_path):
    cv2.imwrite(str(tmp_path / "one.PNG"), np.full((4, 6, 3), 7, np.uint8))
    with open_source(tmp_path / "one.PNG") as source:
        assert [(frame.name, frame.image_bgr.shape) for frame in source] == [("one", (4, 6, 3))]


def test_corrupt_image_is_counted_and_named(tmp_path, caplog):
    for name in ("a", "c"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((4, 6, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"not a png")
    with open_source(tmp_path) as source:
        assert [(frame.name, frame.index) for frame in source] == [("a", 0), ("c", 1)]
        assert source.corrupt == 1
    assert "b.png: not a readable image" in caplog.text


def test_all_images_corrupt(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(b"x")
    with open_source(tmp_path) as source, pytest.raises(SourceError, match="none of its 2 images can be decoded"):
        list(source)


def test_corrupt_single_image(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x" * 10)
    with (
        open_source(tmp_path / "a.jpg") as source,
        pytest.raises(SourceError, match=r"a\.jpg: not a readable image \(10 bytes\)"),
    ):
        list(source)


def test_two_images_of_one_name(tmp_path):
    for suffix in ("png", "jpg"):
        cv2.imwrite(str(tmp_path / f"a.{suffix}"), np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(SourceError, match=r"a\.jpg and a\.png have one name"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("absent.mp4", r"absent\.mp4: no such file or folder"),
        ("empty", "empty: no images in this folder; expected files ending in .jpg"),
        ("bad.mp4", r"bad\.mp4: can't be opened as a video \(900 bytes\)"),
        ("half.mp4", "can't be opened as a video"),
        ("void.mp4", r"void\.mp4: can't be opened as a video \(0 bytes\)"),
        ("gopher://host/x", "gopher:// is unknown; expected a camera number"),
        ("rtp://host/x", r"rtp:// is unknown; did you mean rtsp://\?"),
    ],
)
def test_what_cannot_be_opened(tmp_path, video, monkeypatch, capfd, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.mp4").write_bytes(b"garbage!!" * 100)
    (tmp_path / "half.mp4").write_bytes(video.read_bytes()[:600])
    (tmp_path / "void.mp4").touch()
    with pytest.raises(SourceError, match=message):
        open_source(text)
    assert capfd.readouterr().err == ""  # OpenCV and FFmpeg keep quiet


@pytest.mark.parametrize("text", ["97", 97, "/dev/video97"])
def test_no_such_camera(text, capfd):
    with pytest.raises(SourceError, match="camera 97 can't be opened: no such camera"):
        open_source(text)
    assert capfd.readouterr().err == ""


def test_video_that_lost_its_tail_is_reported(video, tmp_path, caplog):
    with open_source(video) as source:
        assert source.count == 10
        source.count = 40
        assert len(list(source)) == 10
    assert "ended after 10 of the 40 frames" in caplog.text


@pytest.mark.parametrize("reader", ["pyav", "opencv"])
def test_close_while_a_reader_waits(video, reader):
    source = open_source(video, video=VideoOptions(reader=reader))
    assert isinstance(source, VideoSource)
    with source._reading:  # a reader is inside the decoder
        source.close()
        assert source._read() is not None
    source.close()
    source.close()
    assert source._read() is None


def test_images_are_read_as_they_are_taken(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 6, 3), np.uint8))
    source = ImageSource("x", [tmp_path / "a.png", tmp_path / "gone.png"])
    frames = iter(source)
    assert next(frames).name == "a"
    assert source.corrupt == 0
    assert list(frames) == []
    assert source.corrupt == 1


@pytest.mark.parametrize("text", ["clip.mp4", "images/", "file:///tmp/clip.mp4", "FILE:clip.mp4", "0.png"])
def test_names_of_files(text):
    assert names_files(text)


@pytest.mark.parametrize("text", [0, "0", "/dev/video3", "rtsp://host/a", "http://host/a.mp4", "csi://0", "gst://x ! y"])
def test_names_of_cameras_and_streams(text):
    assert not names_files(text)


def test_images_deeper_than_8_bits(tmp_path):
    """Row 8 of the table of data: by the model's range, or refused."""
    thermal = np.linspace(7000, 8000, 48 * 64).reshape(48, 64).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), thermal)
    with open_source(str(tmp_path)) as source, pytest.raises(SourceError, match=r"values from 7000 to 8000, and this model"):
        list(source)
    with open_source(str(tmp_path)) as source:
        source.value_range = (7000, 8000)
        (frame,) = source
    assert np.abs(frame.image[..., 0] - (thermal - 7000.0) * 0.255).max() <= 1


def test_opencv_reads_where_pyav_is_missing(video, monkeypatch):
    monkeypatch.setattr("seg_edge.runtime.sources.options.find_spec", lambda _name: None)
    with open_source(video) as source:
        assert source.video["reader"].startswith("OpenCV")
        assert len(list(source)) == 10
    for options, message in (({"reader": "pyav"}, "`reader`: PyAV is not installed"), ({"weave": True}, "need PyAV")):
        with pytest.raises(InputError, match=message):
            open_source(video, video=VideoOptions(**options))
