"""Videos of all kinds, made with the ffmpeg program, and what that program decodes from them with the same filters.

A clip has the arguments of its making, and the filters that the reader is expected to apply. ``compare`` says how far the
reader is from the program: in the number of frames, their times, and their values. For tests and benchmarks/videos.py.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Moving pictures with fine detail, one colour of each kind, and a clock.
SOURCE = "testsrc2=s={w}x{h}:r={r}:d={d}"
INTERLACED = "tinterlace=interleave_top"
#: Flags of the program's scaler: by default, and to convert exactly, a sample of chroma serving all of its pixels, as the
#: kernels do with the decoder's planes. By default it is up to 4 levels from exact.
DEFAULT = "bicubic"
EXACT = "neighbor+accurate_rnd+full_chroma_int+full_chroma_inp"
BWDIF = "bwdif=mode=send_frame:deint=interlaced"


class Clip(NamedTuple):
    """A clip.

    Attributes:
        name: Its file.
        words: Arguments between the input and the file.
        matrix, level: What the scale filter is told of matrix and range; an empty matrix is RGB.
        before: Filters before the conversion to BGR.
        shown: Size of the image, where pixels are not square.
        size_wh, rate, seconds: Of the source.
        levels: The greatest difference that is accepted.
        source: Another source than the moving pictures.
        steps: Made with several calls: each a list of words, with {in} and {out} for files in the folder.
        after: Changes the file: for marks that the program can't write.
    """

    name: str
    words: str = ""
    matrix: str = "bt601"
    level: str = "limited"
    before: str = ""
    shown: str = ""
    size_wh: tuple[int, int] = (160, 120)
    rate: int = 25
    seconds: float = 0.48
    levels: int = 1
    source: str = ""
    steps: tuple[str, ...] = ()
    after: Callable[[Path], None] | None = None


def matrix_of(*values: int) -> Callable[[Path], None]:
    """A function that writes a display matrix (a, b, c, d) into an MP4 file's track header."""

    def write(path: Path) -> None:
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
        a, b, c, d = values
        # The translation, which players ignore, stays 0.
        numbers = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        data[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
        path.write_bytes(data)

    return write


X264 = "-c:v libx264 -preset veryfast -pix_fmt"
TAG709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
TAG2020 = "-colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-10 -color_range tv"
TAG240 = "-colorspace smpte240m -color_primaries smpte240m -color_trc smpte240m -color_range tv"
ILACE = "-flags +ilme+ildct"
SPOKEN = f"{{source}} -f lavfi -i sine=d=2 -map 0 -map 1 {X264} yuv420p -c:a aac {{out}}"
WHOLE = f"{{source}} {X264} yuv420p -g 12 {{folder}}/whole.mp4"
TURNS = {
    "upright": (1, 0, 0, 1), "mirrored": (-1, 0, 0, 1), "flipped": (1, 0, 0, -1), "half": (-1, 0, 0, -1),
    "clockwise": (0, 1, -1, 0), "counter": (0, -1, 1, 0), "diagonal": (0, 1, 1, 0), "antidiagonal": (0, -1, -1, 0),
}  # fmt: skip

CLIPS = (
    # codecs, pixel formats and containers
    Clip("h264.mp4", f"{X264} yuv420p"),
    Clip("h264-main.mkv", f"{X264} yuv420p -bf 3 -g 8"),
    Clip("h264.ts", f"{X264} yuv420p"),
    Clip("h264.mov", f"{X264} yuv420p -bf 0"),
    Clip("h264.flv", f"{X264} yuv420p"),
    Clip("h264-422.mkv", f"{X264} yuv422p"),
    Clip("h264-444.mp4", f"{X264} yuv444p"),
    Clip("h264-10.mp4", f"{X264} yuv420p10le"),
    Clip("h264-grey.mp4", f"{X264} gray", level="full"),
    Clip("h264-full.mp4", f"{X264} yuvj420p -color_range pc", level="full"),
    Clip("h264-709.mp4", f"{X264} yuv420p {TAG709}", matrix="bt709"),
    Clip("h264-709-full.mp4", f"{X264} yuv420p {TAG709} -color_range pc", matrix="bt709", level="full"),
    Clip("h264-fcc.mkv", f"{X264} yuv420p -colorspace fcc", matrix="fcc"),
    Clip("h264-240m.mp4", f"{X264} yuv420p {TAG240}", matrix="smpte240m"),
    Clip("h264-rgb.mp4", "-c:v libx264rgb -preset veryfast -pix_fmt bgr24", matrix=""),
    Clip("hevc.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p -tag:v hvc1"),
    Clip("hevc-10.mkv", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le"),
    Clip("hevc-2020.mp4", f"-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le {TAG2020}", matrix="bt2020"),
    Clip("hevc-444-12.mkv", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv444p12le"),
    Clip("vp8.webm", "-c:v libvpx -deadline realtime -pix_fmt yuv420p"),
    Clip("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p"),
    Clip("vp9-10.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p10le"),
    Clip("vp9-709.mkv", f"-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p {TAG709}", matrix="bt709"),
    Clip("av1.mp4", "-c:v libaom-av1 -cpu-used 8 -pix_fmt yuv420p", seconds=0.24),
    Clip("av1-10-2020.mkv", f"-c:v libaom-av1 -cpu-used 8 -pix_fmt yuv420p10le {TAG2020}", matrix="bt2020", seconds=0.24),
    Clip("mpeg4.avi", "-c:v mpeg4 -q:v 3"),
    Clip("mpeg4-b.mp4", "-c:v mpeg4 -q:v 3 -bf 2"),
    Clip("mpeg2.mpg", "-c:v mpeg2video -q:v 3"),
    Clip("mpeg1.mpg", "-c:v mpeg1video -q:v 3"),
    Clip("mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p -q:v 2", level="full"),
    Clip("mjpeg-422.mov", "-c:v mjpeg -pix_fmt yuvj422p -q:v 2", level="full"),
    Clip("prores.mov", "-c:v prores_ks -pix_fmt yuv422p10le"),
    Clip("ffv1.mkv", "-c:v ffv1 -pix_fmt yuv420p"),
    Clip("ffv1-gbr.mkv", "-c:v ffv1 -pix_fmt gbrp", matrix=""),
    Clip("ffv1-grey16.mkv", "-c:v ffv1 -pix_fmt gray16le", level="full"),
    Clip("uyvy.avi", "-c:v rawvideo -pix_fmt uyvy422"),
    Clip("png.mov", "-c:v png -pix_fmt rgb24", matrix=""),
    Clip("theora.ogv", "-c:v libtheora -q:v 8 -pix_fmt yuv420p"),
    Clip("wmv2.asf", "-c:v wmv2 -q:v 3"),
    Clip("palette.gif", "-vf format=rgb8", matrix="", rate=10, seconds=1),
    Clip("moving.apng", "-c:v apng -pix_fmt rgb24 -plays 0", matrix="", rate=10, seconds=1),
    # interlacing
    Clip("interlaced.mp4", f"-vf {INTERLACED} {X264} yuv420p {ILACE} -x264opts tff=1", before=BWDIF, rate=50, levels=2),
    Clip(
        "interlaced-bottom.ts",
        f"-vf tinterlace=interleave_bottom {X264} yuv420p {ILACE} -x264opts bff=1",
        before=BWDIF, rate=50, levels=2,
    ),
    Clip("interlaced.mpg", f"-vf {INTERLACED} -c:v mpeg2video -q:v 3 {ILACE}", before=BWDIF, rate=50, levels=2),
    Clip("interlaced-422.mkv", f"-vf {INTERLACED} {X264} yuv422p {ILACE} -x264opts tff=1", before=BWDIF, rate=50, levels=2),
    Clip("dv.avi", f"-vf {INTERLACED},setsar=1 -c:v dvvideo -pix_fmt yuv420p -s 720x576", before=BWDIF, shown="768:576",
         rate=50, seconds=0.24, levels=2),
    # orientation, pixel aspect, cropping
    *(Clip(f"turn-{name}.mp4", f"{X264} yuv420p", after=matrix_of(*values)) for name, values in TURNS.items()),
    Clip("turn-odd.mp4", f"{X264} yuv444p", size_wh=(161, 121), after=matrix_of(0, 1, -1, 0)),
    Clip("wide.mp4", f"-vf setsar=4/3 {X264} yuv420p", shown="213:120"),
    Clip("tall.mkv", f"-vf setsar=1/2 {X264} yuv420p", shown="160:240"),
    Clip("cropped.mp4", f"{X264} yuv420p -bsf:v h264_metadata=crop_left=8:crop_right=16:crop_top=4:crop_bottom=12"),
    Clip("odd.mp4", f"{X264} yuv420p", size_wh=(162, 122)),
    Clip("odd-444.mkv", f"{X264} yuv444p", size_wh=(161, 119)),
    # time
    Clip("variable.mp4", f"-vf select=lt(t\\,.4)+not(mod(n\\,5)) -vsync vfr {X264} yuv420p", seconds=1),
    Clip("variable.mkv", f"-vf select=lt(t\\,.4)+not(mod(n\\,7)) -vsync vfr {X264} yuv420p", seconds=1),
    Clip("ntsc.mp4", f"-vf fps=30000/1001 {X264} yuv420p"),
    Clip("late.mkv", steps=("-itsoffset 1.5 " + SPOKEN,)),
    Clip("late.mp4", steps=("-itsoffset 0.7 " + SPOKEN,)),
    Clip("cut.mp4", seconds=1.2, steps=(WHOLE, "-ss 0.6 -i {folder}/whole.mp4 -c copy {out}")),
    Clip("offset.ts", f"{X264} yuv420p -output_ts_offset 5000"),
    Clip("raw.h264", f"{X264} yuv420p", rate=50),
)  # fmt: skip


def make(clip: Clip, folder: Path) -> Path:
    """Makes the clip's file."""
    out = folder / clip.name
    width, height = clip.size_wh
    source = "-f lavfi -i " + (clip.source or SOURCE.format(w=width, h=height, r=clip.rate, d=clip.seconds))
    for step in clip.steps or ("{source} " + clip.words + " {out}",):
        words = step.format(source=source, folder=folder, out=out).split()
        _ffmpeg(["-y", *words])
    if clip.after is not None:
        clip.after(out)
    return out


def decoded(clip: Clip, path: Path, flags: str = DEFAULT) -> tuple[list[float], list[np.ndarray]]:
    """Times and frames (BGR) that the ffmpeg program decodes, with these flags of its scaler."""
    colours = f"in_color_matrix={clip.matrix}:in_range={clip.level}:" if clip.matrix else ""
    steps = [clip.before, f"scale={clip.shown and clip.shown + chr(58)}{colours}flags={flags}", "format=bgr24", "showinfo"]
    words = ["-i", str(path), "-map", "0:v:0", "-vsync", "passthrough"]
    words += ["-vf", ",".join(filter(None, steps)), "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    done = subprocess.run(["ffmpeg", "-v", "info", "-nostdin", *words], capture_output=True, check=True)
    shown = re.findall(r"pts_time:\s*(\S+).*? s:(\d+)x(\d+)", done.stderr.decode(errors="replace"))
    times, frames, at = [], [], 0
    for time, width, height in shown:
        size = int(width) * int(height) * 3
        times.append(float(time))
        frames.append(np.frombuffer(done.stdout, np.uint8, size, at).reshape(int(height), int(width), 3))
        at += size
    return times, frames


def compare(clip: Clip, path: Path) -> dict[str, object]:
    """The reader against the program: ``frames`` of both, ``time_ms`` and ``levels``, the greatest differences."""
    from seg_edge.runtime.sources import open_source

    formats = set()
    with open_source(path) as source:
        ours = [(frame.time_s, frame.image_bgr.copy()) for frame in source if not formats.add(frame.pixel_format)]
        about = source.video
    times, frames = decoded(clip, path, DEFAULT if formats == {"bgr"} else EXACT)
    # FFmpeg 6 and later make the first deinterlaced frame in another way than before.
    first = 1 if "bwdif" in clip.before else 0
    if first and np.abs(ours[0][1].astype(int) - frames[0]).mean() > 2:
        first = 0
    levels = [
        int(np.abs(mine.astype(int) - theirs).max()) if mine.shape == theirs.shape else 256
        for (_, mine), theirs in zip(ours[first:], frames[first:], strict=False)
    ]
    late = [abs(mine - theirs) for (mine, _), theirs in zip(ours, times, strict=False)]
    return {
        "clip": clip.name,
        "frames": [len(ours), len(frames)],
        "size": list(ours[0][1].shape[:2]) if ours else None,
        "time_ms": round(1e3 * max(late, default=0), 3),
        "levels": max(levels, default=0),
        "accepted": clip.levels,
        "pixel_formats": sorted(formats),
        "video": about,
    }


def agrees(row: dict[str, object], clip: Clip) -> bool:
    """Whether a row of ``compare`` is as it must be."""
    ours, theirs = row["frames"]  # type: ignore[misc]
    return ours == theirs > 0 and row["time_ms"] <= 1 and row["levels"] <= clip.levels  # type: ignore[operator]


def _ffmpeg(words: list[str]) -> None:
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(words)}: {done.stderr.strip()[-400:]}")
