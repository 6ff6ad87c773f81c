"""The plain pipeline with our INT8 file under LitServe. For benchmarks/serve.py.

python litserve_int8.py MODEL.onnx PORT WORKERS
"""

import os
import sys

import cv2
import litserve as ls
import numpy as np
import onnxruntime as ort
from fastapi import Response

WORKERS = int(sys.argv[3])


class Segment(ls.LitAPI):
    def setup(self, device: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) // WORKERS)
        self.session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
        _, self.height, self.width, _ = self.session.get_inputs()[0].shape

    def decode_request(self, request) -> np.ndarray:  # no annotation: the form, by its parts' names
        return cv2.imdecode(np.frombuffer(request["image"].file.read(), np.uint8), cv2.IMREAD_COLOR)

    def predict(self, frame: np.ndarray) -> np.ndarray:
        network_input = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_AREA)[None]
        logits = self.session.run(None, {"frames": network_input})[0][0]
        full = cv2.resize(logits.transpose(1, 2, 0), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return full.argmax(2).astype(np.uint8)

    def encode_response(self, mask: np.ndarray) -> Response:
        return Response(cv2.imencode(".png", mask)[1].tobytes(), media_type="image/png")


if __name__ == "__main__":
    api = Segment(api_path="/segment", enable_async=False)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=WORKERS, healthcheck_path="/readyz")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, num_api_servers=1)
