"""What a file is that can't be decoded as an image, and what to do about it."""

from __future__ import annotations

#: Beginning of a file → what it is, and the cure.
_BEGINNINGS = {
    b"version https://git-lfs": "is Git LFS's note about a file that was not fetched; run git lfs pull",
    b"GIF8": "is a GIF; save it as PNG",
    b"%PDF": "is a PDF; save its image as PNG",
    b"PK\3\4": "is a zip archive; unpack it",
    b"\x1f\x8b": "is a gzip archive; unpack it",
    b"\0\0\0\x0cjP  ": "is JPEG 2000; save it as PNG",
    b"II+\0": "is BigTIFF; save it as TIFF or PNG",
    b"MM\0+": "is BigTIFF; save it as TIFF or PNG",
    b"\x93NUMPY": "is a NumPy array; save it as PNG",
    b"8BPS": "is a Photoshop file; save it as PNG",
}
#: Brands of files in ISO's container, bytes 8 to 12.
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
    b"hevc": "HEIC",
    b"avif": "AVIF",
    b"avis": "AVIF",
}
_PAGE = (b"<!doctype html", b"<html")


def hint(data: bytes) -> str:
    """What a file that is no readable image is; empty where that is not known.

    >>> hint(b"GIF89a")
    'is a GIF; save it as PNG'
    """
    for beginning, text in _BEGINNINGS.items():
        if data.startswith(beginning):
            return text
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return f"is {_BRANDS[data[8:12]]}, as phones write it, whatever its name says; save it as JPEG or PNG"
    head = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if head.startswith(_PAGE):
        return "is a web page, as a failed download leaves it; fetch the file again"
    if head.startswith((b"<svg", b"<?xml")):
        return "is a drawing or text in XML; save it as PNG"
    return ""
