"""Which iteration of which loop a component runs in, and which run of it that is.

Langflow's Loop (from 1.8 on) runs its body as a graph of its own for each item. Before, the
components of the body ran again and again in the flow's own graph, as they still do in a flow that
goes in circles by a router, and where the source of an old Loop is kept in a flow.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from langflow_otel.context import current_component, current_flow, iteration

#: On the graph of one iteration: in which iterations it runs, the outermost first.
_ITERATION = "_langflow_otel_iteration"
#: On a graph with loops: the loops around a component, the outermost first, by its id.
_LOOPS = "_langflow_otel_loops"


def begin_iteration(graph: Any) -> None:
    """Number the iteration that `graph` is, run by the component that is current here."""
    loop = current_component()
    if loop is not None:
        vars(graph)[_ITERATION] = (*iteration(), loop.iterations)
        loop.iterations += 1


def iteration_of(graph: Any, vertex: Any) -> tuple[int, ...]:
    """Return in which iterations `vertex` is going to run, the outermost first."""
    path: tuple[int, ...] | None = vars(graph).get(_ITERATION)
    if path is not None:
        return path
    if not _may_repeat(graph, vertex):
        return ()
    state = graph.context
    indices = [state.get(f"{loop}_index", 0) - 1 for loop in _loops_of(graph).get(vertex.id, ())]
    # A loop of today counts nothing there.
    return (*iteration(), *indices) if indices and min(indices) >= 0 else ()


def run_index_of(graph: Any, vertex: Any) -> int | None:
    """Return which run of `vertex` this is, from 0; None where there is one run only."""
    flow = current_flow()
    if flow is None or not _may_repeat(graph, vertex):
        return None
    return flow.count_run(vertex.id, vars(graph).get(_ITERATION))


def _may_repeat(graph: Any, vertex: Any) -> bool:
    return vertex.id in graph.cycle_vertices


def _loops_of(graph: Any) -> Mapping[str, tuple[str, ...]]:
    known: Mapping[str, tuple[str, ...]] | None = vars(graph).get(_LOOPS)
    if known is None:
        bodies = {vertex.id: _body(graph, vertex) for vertex in graph.vertices if vertex.is_loop}
        outer_first = sorted(bodies, key=lambda loop: -len(bodies[loop]))
        known = vars(graph)[_LOOPS] = {
            vertex.id: tuple(loop for loop in outer_first if vertex.id in bodies[loop])
            for vertex in graph.vertices
        }
    return known


def _body(graph: Any, loop: Any) -> set[str]:
    """Return what runs between the item that `loop` puts out and the one it gets back."""
    begins = [edge.target_id for edge in loop.outgoing_edges if edge.source_handle.name == "item"]
    ends = [edge.source_id for edge in loop.incoming_edges if _gives_back(edge)]
    forward = _reached(begins, graph.successor_map, loop.id)
    return forward & _reached(ends, graph.predecessor_map, loop.id)


def _gives_back(edge: Any) -> bool:
    """Tell whether `edge` goes to an output of its target, which is how a loop gets items back."""
    handle = edge.target_handle
    return "item" in {getattr(handle, "name", None), getattr(handle, "field_name", None)}


def _reached(begins: Iterable[str], neighbours: Mapping[str, Iterable[str]], stop: str) -> set[str]:
    reached: set[str] = set()
    ahead = list(begins)
    while ahead:
        here = ahead.pop()
        if here != stop and here not in reached:
            reached.add(here)
            ahead.extend(neighbours.get(here, ()))
    return reached
