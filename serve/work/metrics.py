"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ...core.version import __version__

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Stages of a request, in their order.
STAGES = ("queue", "decode", "pre", "wait", "engine", "post", "encode")
# Half a millisecond to eight seconds.
_BUCKETS = tuple(0.0005 * 2**n for n in range(15))


class Metrics:
    """The service's own registry: several applications may live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "seg_edge_requests", "Requests, by route and status.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "seg_edge_request_seconds", "A request, from its head to its answer's last byte.", ("route",),
            buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._stages = Histogram(
            "seg_edge_stage_seconds",
            "Stages of a request: waiting for a thread, decoding, the network's input, waiting for the engine, the network, "
            "the mask, encoding.",
            ("model", "stage"), buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._children: dict[str, list[tuple[str, Histogram]]] = {}
        self.images = Counter("seg_edge_images", "Images that were segmented.", ("model",), registry=self._registry)
        self.in_flight = Gauge("seg_edge_requests_in_flight", "Accepted and not yet answered.", registry=self._registry)
        self.streams = Gauge("seg_edge_streams", "WebSocket streams that are open.", registry=self._registry)
        self.dropped = Counter(
            "seg_edge_stream_frames_dropped", "Frames of streams that a newer one replaced.", registry=self._registry
        )
        Info("seg_edge_service", "Version.", registry=self._registry).info({"version": __version__})
        ProcessCollector(registry=self._registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def segmented(self, model: str, timings_ms: Mapping[str, float], images: int = 1) -> None:
        """Counts an answer and the time of its stages."""
        stages = self._children.get(model)
        if stages is None:
            stages = self._children[model] = [(stage, self._stages.labels(model, stage)) for stage in STAGES]
        for stage, histogram in stages:
            if stage in timings_ms:
                histogram.observe(timings_ms[stage] / 1e3)
        self.images.labels(model).inc(images)

    def text(self) -> bytes:
        return generate_latest(self._registry)
