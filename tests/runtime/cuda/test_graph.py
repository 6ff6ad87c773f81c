"""The protocol of a capture, against a driver that notes what it is asked. The real one needs a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from seg_edge.runtime.cuda.graph import CudaGraph


class Driver:
    """Functions of libcuda; ``fails`` are those that return an error."""

    def __init__(self, *fails):
        self.calls = []
        names = "cuStreamBeginCapture_v2 cuStreamEndCapture cuGraphInstantiateWithFlags cuGraphDestroy cuGraphLaunch"
        self.library = SimpleNamespace(
            **{name: self.function(name, int(name in fails)) for name in [*names.split(), "cuGraphExecDestroy"]}
        )

    def function(self, name, code):
        def call(*arguments):
            self.calls.append(name)
            if not code and name in ("cuStreamEndCapture", "cuGraphInstantiateWithFlags"):
                target = arguments[1] if name == "cuStreamEndCapture" else arguments[0]
                target._obj.value = 7
            return code

        return call


def test_work_is_captured_once_and_launched_often():
    driver, done = Driver(), []
    graph = CudaGraph.capture(5, lambda: done.append(1), driver.library)
    assert driver.calls == ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy"]
    graph.launch()
    graph.launch()
    assert done == [1]
    graph.close()
    graph.close()
    assert driver.calls[4:] == ["cuGraphLaunch", "cuGraphLaunch", "cuGraphExecDestroy"]


@pytest.mark.parametrize(
    ("fails", "calls"),
    [
        ("cuStreamBeginCapture_v2", ["cuStreamBeginCapture_v2"]),
        ("cuStreamEndCapture", ["cuStreamBeginCapture_v2", "cuStreamEndCapture"]),
        ("cuGraphInstantiateWithFlags",
         ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy"]),
    ],
)  # fmt: skip
def test_what_cannot_be_captured_gives_none_and_leaves_nothing(fails, calls):
    driver = Driver(fails)
    assert CudaGraph.capture(5, lambda: None, driver.library) is None
    assert driver.calls == calls


def test_work_that_fails_ends_the_capture():
    def work():
        raise RuntimeError("not permitted while capturing")

    driver = Driver()
    assert CudaGraph.capture(5, work, driver.library) is None
    assert driver.calls == ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphDestroy"]


def test_no_driver_and_an_old_one():
    assert CudaGraph.capture(5, lambda: None, SimpleNamespace(cuStreamBeginCapture_v2=None)) is None


def test_a_launch_that_fails():
    driver = Driver("cuGraphLaunch")
    graph = CudaGraph.capture(5, lambda: None, driver.library)
    with pytest.raises(RuntimeError, match="cuGraphLaunch failed .CUDA error 1."):
        graph.launch()
