"""A segmentation service as tutorials write it: FastAPI, OpenCV, ONNX Runtime. For benchmarks/serve.py.

python fastapi_plain.py MODEL.onnx PORT
"""

import sys

import cv2
import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, Response, UploadFile

session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
_, height, width, _ = session.get_inputs()[0].shape
app = FastAPI()


@app.get("/readyz")
def ready() -> dict[str, str]:
    return {"status": "ready"}


# Not async: FastAPI runs it in a thread, so that requests are answered side by side.
@app.post("/segment")
def segment(image: UploadFile) -> Response:
    frame = cv2.imdecode(np.frombuffer(image.file.read(), np.uint8), cv2.IMREAD_COLOR)
    # The exported graph normalizes; a plain export would leave that to NumPy as well.
    network_input = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)[None]
    logits = session.run(None, {"frames": network_input})[0][0]
    full = cv2.resize(logits.transpose(1, 2, 0), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mask = full.argmax(2).astype(np.uint8)
    return Response(cv2.imencode(".png", mask)[1].tobytes(), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False)
