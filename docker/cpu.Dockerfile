# seg-edge on a plain CPU, without torch: the service by default, every other verb by name.
#   docker build -f docker/cpu.Dockerfile -t seg-edge .
#   docker run -p 8000:8000 -v $PWD/model:/model:ro seg-edge serve /model --host 0.0.0.0
#   docker run --device /dev/video0 -p 8080:8080 seg-edge run --source 0 --sink mjpeg://0.0.0.0:8080
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc make libc6-dev git
COPY . /src
RUN pip wheel --no-deps -w /wheels /src

FROM python:3.12-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[serve,openvino]"
# A slim image has no libGL: OpenCV's headless build takes the window build's place.
RUN pip uninstall -y opencv-python && pip install --no-cache-dir --force-reinstall --no-deps opencv-python-headless
RUN useradd --create-home --groups video seg
USER seg
WORKDIR /home/seg
# glibc would keep an arena of memory for every thread.
ENV MALLOC_ARENA_MAX=2
EXPOSE 8000
HEALTHCHECK CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz')"
ENTRYPOINT ["seg-edge"]
CMD ["serve", "--host", "0.0.0.0"]
