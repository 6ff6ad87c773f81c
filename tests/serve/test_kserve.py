"""KServe's own client, unchanged. Needs the package kserve (``pip install kserve``), which brings Kubernetes' libraries."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from seg_edge import Segmenter

kserve = pytest.importorskip("kserve")


def test_kserves_client(client, tiny_model, colour_frame, image):
    frame = colour_frame(48, 60)
    with Segmenter(tiny_model) as segmenter:
        expected = segmenter(frame)

    async def ask():
        rest = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
        assert await rest.is_server_live(client.address)
        assert await rest.is_server_ready(client.address)
        assert await rest.is_model_ready(client.address, "tiny")
        for binary in (False, True):
            tensor = kserve.InferInput("frames", [1, 48, 60, 3], "UINT8")
            tensor.set_data_from_numpy(frame[None], binary_data=binary)
            answer = await rest.infer(client.address, kserve.InferRequest("tiny", [tensor]), model_name="tiny")
            assert (answer.outputs[0].as_numpy()[0] == expected).all()
        tensor = kserve.InferInput("image", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([image], np.object_), binary_data=True)
        answer = await rest.infer(client.address, kserve.InferRequest("tiny", [tensor]), model_name="tiny")
        assert (answer.outputs[0].as_numpy()[0] == expected).all()
        await rest.close()

    asyncio.run(ask())
