"""The page, used in a real browser at two widths; with ``SEG_EDGE_SCREENSHOTS=FOLDER`` it leaves pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("websockets")


@pytest.fixture
def browser(load_module):
    module = load_module("serve/browser.py")
    path = module.program()
    if path is None:
        pytest.skip(f"no browser: install one of {', '.join(module.PROGRAMS)}")
    with module.Browser(path) as opened:
        yield opened


def text(browser, name):
    return browser.run(f"document.getElementById('{name}').textContent")


def screenshot(browser, name):
    if folder := os.environ.get("SEG_EDGE_SCREENSHOTS"):
        browser.screenshot(Path(folder) / name)


@pytest.fixture
def street(colour_frame, tmp_path):
    path = tmp_path / "street.png"
    cv2.imwrite(str(path), cv2.resize(colour_frame(48, 60), (600, 480), interpolation=cv2.INTER_NEAREST))
    return path


SHARES = "[...document.querySelectorAll('#classes output')].map(one => parseFloat(one.textContent))"
PIXEL = "[...document.getElementById('overlay').getContext('2d').getImageData({x}, 240, 1, 1).data]"


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (390, 844)])
def test_an_image_and_the_camera(browser, client, street, width, height):
    browser.open(client.address + "/", width, height, mobile=width < 500)
    browser.wait("document.querySelectorAll('#classes li').length === 3")
    assert text(browser, "status").startswith("tiny, fp32")
    browser.choose_file("#file", street)
    browser.wait("document.getElementById('status').textContent === 'street.png: 600 × 480'")
    assert browser.run(SHARES) == pytest.approx([100 / 3] * 3, abs=3)
    colours = [row["color_rgb"] for row in client("/v1/models").json["models"][0]["classes"]]
    for number, x in enumerate((100, 300, 500)):
        assert browser.run(PIXEL.format(x=x)) == [*colours[number], 255]
    # Classes and opacity change without asking again.
    browser.run("document.querySelectorAll('#classes input')[1].click()")
    assert browser.run(PIXEL.format(x=300)) == [0, 0, 0, 0]
    browser.run("alpha = document.getElementById('alpha'); alpha.value = 0.25; alpha.dispatchEvent(new Event('input'))")
    assert browser.run("getComputedStyle(document.getElementById('overlay')).opacity") == "0.25"
    assert "classes=class0%2Cclass2" in text(browser, "curl")
    assert "alpha=0.25" in text(browser, "curl")
    assert text(browser, "latency").endswith(" ms")
    browser.run("document.getElementById('none').click(); document.getElementById('all').click()")
    assert browser.run(PIXEL.format(x=300)) == [*colours[1], 255]
    assert browser.run("document.documentElement.scrollWidth") <= width
    screenshot(browser, f"image-{width}.jpg")
    # The camera, by keyboard.
    browser.run("document.getElementById('camera').focus()")
    browser.press("Enter")
    browser.wait("document.getElementById('fps').textContent !== '–'")
    assert text(browser, "status") == "Live."
    assert float(text(browser, "fps")) > 0
    assert sum(browser.run(SHARES)) == pytest.approx(100, abs=0.3)
    screenshot(browser, f"camera-{width}.jpg")
    browser.press("Enter")
    browser.wait("document.getElementById('status').textContent === 'Stopped.'")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.errors == []


def test_the_keyboard_reaches_everything(browser, client):
    browser.open(client.address + "/", 1280, 860)
    browser.wait("document.querySelectorAll('#classes li').length === 3")
    reached = []
    for _ in range(18):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:7] == ["model", "A", "file", "camera", "alpha", "all", "none"]
    assert reached[7:10] == ["INPUT"] * 3
    assert reached[10:13] == ["zone-name", "zone-draw", "zone-load"]
    assert "copy" in reached
    assert browser.errors == []


RECT = "(rect => [rect.left, rect.top, rect.width, rect.height])(document.getElementById('zones').getBoundingClientRect())"
LISTED = "[...document.querySelectorAll('#zone-list output')].map(one => one.textContent)"


@pytest.mark.parametrize(("width", "height"), [(1280, 860), (390, 844)])
def test_zones_are_drawn_saved_and_read(browser, client, street, tmp_path, width, height):
    """By mouse or finger and by keyboard; the file is what ``run --zones`` counts in, with the page's shares."""
    from seg_edge.runtime.areas import AreaCounter, read_zones
    from seg_edge.runtime.frame import counting

    browser.open(client.address + "/", width, height, mobile=width < 500)
    browser.downloads(tmp_path)
    browser.wait("document.querySelectorAll('#classes li').length === 3")
    browser.run("document.getElementById('zone-draw').click()")
    assert text(browser, "status") == "Choose an image or start the camera first."
    browser.choose_file("#file", street)
    browser.wait("document.getElementById('status').textContent.startsWith('street.png: ')")
    browser.run("document.getElementById('zone-draw').click()")
    assert text(browser, "status") == "A zone needs a name."
    browser.run("document.getElementById('zone-name').value = 'track'; document.getElementById('zone-draw').click()")
    browser.run("document.getElementById('zones').scrollIntoView({block: 'center'})")
    left, top, across, down = browser.run(RECT)
    corners = [(0.2, 0.1), (0.9, 0.3), (0.5, 0.8)]
    for x, y in corners:
        (browser.click if width > 500 else browser.tap)(left + x * across, top + y * down)
    browser.wait("document.querySelectorAll('#zones circle').length === 3")
    screenshot(browser, f"zones-drawing-{width}.jpg")
    browser.press("f")
    browser.wait("document.querySelectorAll('#zone-list li').length === 1")
    # The second one by keyboard, from the middle: a triangle to the lower right.
    browser.run("document.getElementById('zone-name').value = 'door'; document.getElementById('zone-draw').click()")
    browser.press("Enter")
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(20):
            browser.press(key)
        browser.press("Enter")
    browser.press("f")
    browser.wait("document.querySelectorAll('#zone-list li').length === 2")
    screenshot(browser, f"zones-{width}.jpg")
    shown = browser.run(LISTED)
    browser.run("document.getElementById('zone-save').click()")
    saved = tmp_path / "zones.json"
    browser.wait("document.getElementById('status').textContent.startsWith('Saved')")
    browser._until(saved.exists)
    written = json.loads(saved.read_text())["zones"]
    assert [zone["name"] for zone in written] == ["track", "door"]
    assert written[0]["polygon"] == [pytest.approx(corner, abs=0.01) for corner in corners]
    assert written[1]["polygon"] == [[0.5, 0.5], [0.7, 0.5], [0.7, 0.7]]
    png = client.segment(street.read_bytes(), kind="image/png", Accept="image/png").body
    mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    names = [row["name"] for row in client("/v1/models").json["models"][0]["classes"]]
    counter = AreaCounter(tuple(names), read_zones(saved))
    arguments = counter.arguments(mask.shape)
    counting.count_mask(mask, **arguments)
    areas = counter.areas(arguments["counts"], mask.shape)
    for zone, line in zip(("track", "door"), shown, strict=True):
        told = {part.rsplit(" ", 2)[0]: float(part.rsplit(" ", 2)[1]) for part in line.split(", ")}
        assert told == {name: pytest.approx(100 * areas.share(name, zone), abs=0.06) for name in told}
        assert sum(told.values()) == pytest.approx(100, abs=0.2)
    # Removed, and read again.
    browser.run("document.querySelector('#zone-list button').click()")
    browser.wait("document.querySelectorAll('#zone-list li').length === 1")
    browser.choose_file("#zone-file", saved)
    browser.wait("document.querySelectorAll('#zone-list li').length === 2")
    assert browser.run(LISTED) == shown
    assert browser.run("document.documentElement.scrollWidth") <= width
    (tmp_path / "other.json").write_text('{"zones": 7}')
    browser.choose_file("#zone-file", tmp_path / "other.json")
    browser.wait("document.getElementById('status').textContent.startsWith('other.json holds no zones')")
    assert browser.errors == []


def test_wrong_files_and_tokens(browser, serve, tiny_model, tmp_path, street):
    (tmp_path / "token").write_text("correct-horse")
    client = serve(tiny_model, token_file=tmp_path / "token")
    browser.open(client.address + "/", 390, 844, mobile=True)
    browser.wait("!document.getElementById('secret').hidden")
    assert browser.run("document.getElementById('status').className") == "error"
    browser.run(
        "document.getElementById('token').value = 'correct-horse';document.getElementById('token-form').requestSubmit()"
    )
    browser.wait("document.querySelectorAll('#classes li').length === 3")
    browser.choose_file("#file", street)
    browser.wait("document.getElementById('status').textContent === 'street.png: 600 × 480'")
    browser.run("document.getElementById('camera').click()")
    browser.wait("document.getElementById('fps').textContent !== '–'")
    (tmp_path / "no.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    browser.choose_file("#file", tmp_path / "no.png")
    browser.wait("document.getElementById('status').textContent.includes('damaged png')")


# --- the description


def test_the_description_names_every_address(client):
    from seg_edge.serve import create_app
    from seg_edge.serve.app import _routes

    described = client("/openapi.json").json
    assert described["openapi"] == "3.1.0"
    # One of each kind: versions and a named model on /v1/stream are the same again.
    left_out = {"/", "/page.js", "/zones.js", "/page.css", "/docs", "/openapi.json", "/v1/stream/{model}"}
    paths = {route.path for route in _routes(create_app().service) if "{version}" not in route.path}
    assert paths - left_out == set(described["paths"])
    operations = [about["operationId"] for methods in described["paths"].values() for about in methods.values()]
    assert len(operations) == len(set(operations))
    assert described["paths"]["/v1/models/{model}"]["get"]["parameters"][0]["schema"]["enum"] == ["tiny"]
    assert json.dumps(described)


def test_the_documentation(client):
    page = client("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "POST /v1/segment" in page.body.decode()
    for path in ("/", "/docs"):
        answer = client(path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not any(word in answer.body.decode() for word in ("http://", "https://"))
