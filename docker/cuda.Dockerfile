# seg-edge on a desktop or server GPU: TensorRT-RTX, ONNX Runtime's CUDA provider, the CUDA kernels. Needs NVIDIA's container
# runtime.
#   docker build -f docker/cuda.Dockerfile -t seg-edge:cuda .
#   docker run --gpus all -v $PWD/model:/model seg-edge:cuda build /model/model.int8.onnx
#   docker run --gpus all -v $PWD:/data seg-edge:cuda bench /data/model --engine rtx
# The devel image, because pycuda compiles against the toolkit.
FROM nvidia/cuda:12.8.1-devel-ubuntu24.04
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 MALLOC_ARENA_MAX=2 NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
RUN apt-get update && apt-get install -y --no-install-recommends python3-dev python3-venv g++ make git libgl1 libglib2.0-0t64 \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/seg-edge
ENV PATH=/opt/seg-edge/bin:$PATH
COPY . /src
RUN pip install "/src[rtx,build,serve]" && pip uninstall -y onnxruntime && pip install onnxruntime-gpu
WORKDIR /data
ENTRYPOINT ["seg-edge"]
CMD ["doctor"]
