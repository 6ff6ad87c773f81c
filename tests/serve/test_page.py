"""The page, used in a real browser at two widths; with ``SEG_EDGE_SCREENSHOTS=FOLDER`` it leaves pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
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
    for _ in range(14):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:7] == ["model", "A", "file", "camera", "alpha", "all", "none"]
    assert reached[7:10] == ["INPUT"] * 3
    assert "copy" in reached
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
    left_out = {"/", "/page.js", "/page.css", "/docs", "/openapi.json", "/v1/stream/{model}"}
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
