# seg-edge on a Jetson with JetPack 6: TensorRT and OpenCV with GStreamer come from NVIDIA's image.
#   docker build -f docker/jetpack.Dockerfile -t seg-edge:jetpack .
#   docker run --runtime nvidia --device /dev/video0 -v $PWD/model:/model -p 8080:8080 seg-edge:jetpack \
#     run /model/model.int8.onnx --engine tensorrt --source 0 --sink mjpeg://0.0.0.0:8080
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 MALLOC_ARENA_MAX=2
RUN apt-get update && apt-get install -y --no-install-recommends python3-dev python3-pip python3-venv g++ make git \
    python3-opencv gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad && rm -rf /var/lib/apt/lists/*
# The image's packages are seen: its TensorRT, and its OpenCV, which knows the camera's pipelines.
RUN python3 -m venv --system-site-packages /opt/seg-edge
ENV PATH=/opt/seg-edge/bin:/usr/local/cuda/bin:$PATH
COPY . /src
RUN pip install --upgrade pip && pip install "/src[serve]" pycuda && pip uninstall -y opencv-python
WORKDIR /data
ENTRYPOINT ["seg-edge"]
CMD ["doctor"]
