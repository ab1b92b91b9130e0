"""The flow whose second component is run again and again, with Langflow's own work taken out."""

from __future__ import annotations

from typing import Any

from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph, VertexBuildResult
from lfx.io import DataInput, MessageTextInput, Output
from lfx.schema.data import Data

from benchmarks.payloads import rows

#: What goes in and comes out, by what the tables call it: rows of half a KB.
SIZES = {"1 KB": 2, "5 KB": 10, "100 KB": 200}
FLOW_ID = "5d3a2c1e-0000-4000-8000-000000000001"


class Start(Component):
    """Makes a value of some size."""

    name = "Start"
    inputs = [MessageTextInput(name="rows", value="1")]
    outputs = [Output(name="data", display_name="Data", method="make")]

    def make(self) -> Data:
        return Data(data=rows(int(self.rows)))


class Pass(Component):
    """Passes a value on."""

    name = "Pass"
    inputs = [DataInput(name="value")]
    outputs = [Output(name="data", display_name="Data", method="give")]

    def give(self) -> Data:
        return self.value


class Ran:
    """A flow that real lfx has run once, to run its second component again without its work."""

    def __init__(self, graph: Graph, result: VertexBuildResult, tracing_service: Any) -> None:
        self.graph = graph
        self._result = result
        self._component = result.vertex.custom_component
        self._component._tracing_service = tracing_service
        value = self._component.value
        self.characters = len(value.model_dump_json())
        self._results = ({"data": value}, {})
        self._function = "_build_with_tracing" if tracing_service else "_build_results"
        # As what is wrapped is looked up in them.
        graph.ran = self
        self._component.ran = self

    async def component(self) -> None:
        """Run the component: what Langflow's functions do but trace is not done."""
        await self.graph.build_vertex("pass")

    async def build_vertex(self) -> VertexBuildResult:
        await getattr(self._component, self._function)()
        return self._result

    async def build_results(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._results


async def run_once(size: str, tracing_service: Any = None) -> Ran:
    """Run the flow with values of `size`; the component is traced by Langflow's service, if any."""
    start = Start(_id="start").set(rows=str(SIZES[size]))
    graph = Graph(start, Pass(_id="pass").set(value=start.make), flow_id=FLOW_ID, flow_name="Flow")
    graph._tracing_service, graph._tracing_service_initialized = None, True
    async for _ in graph.async_start():
        pass
    vertex = graph.get_vertex("pass")
    built = await graph.build_vertex("pass", get_cache=None, set_cache=None)
    assert built.vertex is vertex
    return Ran(graph, built, tracing_service)


def without_work() -> None:
    """Let Langflow's functions that are wrapped return what they returned, in this process.

    To be called before anything is wrapped, and when all flows have been run once.
    """

    async def build_vertex(graph: Any, vertex_id: str) -> VertexBuildResult:
        return await graph.ran.build_vertex()

    async def _build_results(component: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return await component.ran.build_results()

    Graph.build_vertex = build_vertex  # type: ignore[method-assign]
    Component._build_results = _build_results  # type: ignore[method-assign]
