"""The flows that the tests run: one function per shape, each returning the flow's JSON.

`graph_of` makes the graph and `run_flow` runs it, as Langflow's API does; `graph_to_step` and
`step_flow` run it one component at a time. The names in the docstrings are display names.
"""

from __future__ import annotations

import contextlib
import copy
import json
import uuid
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from lfx.components.flow_controls import LoopComponent
from lfx.components.input_output import (
    ChatInput,
    ChatOutput,
    TextInputComponent,
    TextOutputComponent,
)
from lfx.components.models_and_agents import PromptComponent
from lfx.components.processing import CombineTextComponent
from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.services.base import Service
from lfx.services.cache.utils import CACHE_MISS
from lfx.services.deps import get_chat_service
from lfx.services.manager import get_service_manager
from lfx.services.schema import ServiceType

from langflow_otel.demo.components import (
    DistanceComponent,
    OrderLookupComponent,
    ScriptedModelComponent,
    WeatherComponent,
)
from langflow_otel.demo.flows import Flow, FlowBuilder, add_agent
from tests.support import components as own


def linear_chat(answer: str = "You said: {input}", *, name: str = "Linear chat") -> Flow:
    """Chat Input -> Prompt Template -> Scripted Model -> Chat Output.

    The prompt is `Question: ` and the input; `{input}` in the answer stands for all of it.
    """
    flow = FlowBuilder(name)
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    prompt = flow.add(PromptComponent, template="Question: {question}")
    model = flow.add(ScriptedModelComponent, script=[answer], api_key="sk-test-0123456789")
    flow.connect(question, "message", prompt, "question")
    flow.connect(prompt, "prompt", model, "input_value")
    flow.connect(model, "text_output", answered, "input_value")
    return flow.build()


def parallel_branches(seconds: float = 0.2) -> Flow:
    """Chat Input -> Left and Right, which wait at the same time -> Join -> Chat Output."""
    flow = FlowBuilder("Parallel branches")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    join = flow.add(CombineTextComponent, display_name="Join", delimiter=" + ")
    for name, field in (("Left", "text1"), ("Right", "text2")):
        branch = flow.add(
            own.WaitComponent, id_=f"Wait-{name}", display_name=name, label=name, seconds=seconds
        )
        flow.connect(question, "message", branch, "text")
        flow.connect(branch, "waited", join, field)
    flow.connect(join, "combined_text", answered, "input_value")
    return flow.build()


def agent_with_tools(city: str = "Oslo") -> Flow:
    """Chat Input -> Agent with Scripted Model, Weather and Distance -> Chat Output.

    The agent calls `get_weather`, whose method is async, and `get_distance`, whose method is
    sync, at once. It is Langflow's own Agent in every version.
    """
    flow = FlowBuilder("Agent with tools")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    calls = [
        {"name": "get_weather", "args": {"city": city}},
        {"name": "get_distance", "args": {"origin": "Berlin", "destination": city}},
    ]
    model = flow.add(ScriptedModelComponent, tool_calls=json.dumps(calls))
    tools = [flow.add(tool, tool_mode=True) for tool in (WeatherComponent, DistanceComponent)]
    agent = add_agent(flow, model, tools)
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answered, "input_value")
    return flow.build()


def agent_with_slow_tool(seconds: float) -> Flow:
    """Chat Input -> Agent with Scripted Model and Wait, which takes its time -> Chat Output."""
    flow = FlowBuilder("Agent with slow tool")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    calls = [{"name": "wait", "args": {"text": "for it"}}]
    model = flow.add(ScriptedModelComponent, tool_calls=json.dumps(calls))
    tool = flow.add(own.SlowToolComponent, tool_mode=True, seconds=seconds)
    agent = add_agent(flow, model, [tool])
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answered, "input_value")
    return flow.build()


def loop_over_items() -> Flow:
    """Chat Input -> Items -> Loop, with the body Shout -> Rows -> Chat Output.

    Loops once for each part of the input between commas.
    """
    flow = FlowBuilder("Loop over items")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    items, rows = flow.add(own.ItemsComponent), flow.add(own.RowsComponent)
    loop, body = flow.add(LoopComponent), flow.add(own.ShoutComponent)
    flow.connect(question, "message", items, "text")
    flow.connect(items, "items", loop, "data")
    flow.connect(loop, "item", body, "row")
    flow.connect(body, "shouted", loop, "item")
    flow.connect(loop, "done", rows, "table")
    flow.connect(rows, "joined", answered, "input_value")
    return flow.build()


def flow_in_flow() -> Flow:
    """Chat Input -> Call Flow, which runs the flow `Inner` (a linear chat) -> Chat Output."""
    inner = linear_chat("Inner answer to {input}", name="Inner")
    return single("Flow in flow", own.CallFlowComponent, "called", flow=inner)


def run_flow_component(inner: Flow, *, name: str = "Run flow", session: str = "") -> Flow:
    """Chat Input -> Run Flow, Langflow's own, on a chat flow, in `session` -> Chat Output.

    Needs langflow-base, and a server that has `inner` under its id. Its node is set up as the
    editor does when the flow is picked in it.
    """
    from lfx.components.flow_controls import RunFlowComponent

    flow = FlowBuilder(name)
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    selected = {"flow_name_selected": inner["name"], "flow_id_selected": inner["id"]}
    run = flow.add(RunFlowComponent, session_id=session, **selected)
    component, graph = RunFlowComponent(), graph_of(inner)
    component.update_build_config_from_graph(flow.node(run)["template"], graph)
    outputs = component._format_flow_outputs(graph)
    flow.node(run)["outputs"] = [output.model_dump(mode="json") for output in outputs]
    flow.connect(question, "message", run, "ChatInput-demo~input_value")
    flow.connect(run, "ChatOutput-demo~message", answered, "input_value")
    return flow.build()


def failing() -> Flow:
    """Chat Input -> Order Lookup, which raises LookupError -> Chat Output, never reached."""
    return single("Failing", OrderLookupComponent, "order_found", field="order")


def slow(seconds: float = 30.0, *, name: str = "Slow") -> Flow:
    """Chat Input -> Wait, long enough to be cancelled -> Chat Output."""
    return single(name, own.WaitComponent, "waited", seconds=seconds)


def frozen() -> Flow:
    """Chat Input -> Ticket, frozen -> Chat Output.

    Inside `vertex_cache`, the second run answers with the first one's ticket: Ticket did not
    run. Its id is new for each flow, for Langflow keys the cache by it.
    """
    id_ = f"Ticket-{uuid.uuid4().hex[:5]}"
    return single("Frozen", own.TicketComponent, "ticket", id_=id_, frozen=True)


def streamed_by_model(delay: float = 0.05) -> Flow:
    """Chat Input -> Scripted Model, which streams -> Chat Output.

    The model component reads the stream itself. Since Langflow 1.9 it streams only in runs
    that have a session and an event manager; else it answers in one piece.
    """
    return single(
        "Streamed by model",
        ScriptedModelComponent,
        "text_output",
        field="input_value",
        script=["You streamed: {input}"],
        stream=True,
        delay=delay,
    )


def streamed_by_chat_output() -> Flow:
    """Chat Input -> Token Source, which returns an unread stream -> Chat Output, which reads it.

    Run it with an event manager: without one nothing reads the stream, and the answer is empty.
    """
    return single("Streamed by Chat Output", own.TokenSourceComponent, "tokens")


def streamed(how: str = "plain async", *, named: str = "Streamed", **values: Any) -> Flow:
    """Chat Input -> Stream Source, which returns a stream of the kind `how` -> Chat Output.

    Run it with an event manager, as `streamed_by_chat_output`.
    """
    return single(named, own.StreamSourceComponent, "tokens", how=how, **values)


def echo_of_secrets(note: str, password: str) -> Flow:
    """Chat Input -> Echo, which repeats a note and a password in output and log -> Chat Output."""
    return single("Echo of secrets", own.EchoComponent, "echo", note=note, password=password)


def http_request(url: str) -> Flow:
    """Chat Input -> Fetch, which gets a URL, then opens a span `digest` -> Chat Output."""
    return single("HTTP request", own.FetchComponent, "body", url=url)


def http_call(client: str, url: str, **headers: str) -> Flow:
    """Chat Input -> Caller, which gets a URL with that client, following redirects -> Chat Output.

    The client is `httpx`, `httpx_sync`, `httpx2`, `requests` or `aiohttp`; `late` is a task that
    calls with httpx when the component has ended.
    """
    return single("HTTP call", own.CallerComponent, "body", client=client, url=url, headers=headers)


def api_request() -> Flow:
    """Chat Input -> API Request, Langflow's own, which gets the URL it is given -> Chat Output."""
    from lfx.components.data_source.api_request import APIRequestComponent

    return single("API request", APIRequestComponent, "data", field="url_input", method="GET")


def call_elsewhere(url: str, key: str) -> Flow:
    """Chat Input -> Elsewhere, which has another Langflow run a flow (`url`) -> Chat Output."""
    return single("Call elsewhere", own.ElsewhereComponent, "answer", url=url, key=key)


def model_in_a_span() -> Flow:
    """Chat Input -> Ask, which calls a model inside a span `my own work` -> Chat Output."""
    return single("Model in a span", own.AskComponent, "answer")


def model_in_a_thread() -> Flow:
    """Chat Input -> Ask in thread, with a `thread_id` of LangChain's -> Chat Output."""
    return single("Model in a thread", own.AskInThreadComponent, "answer")


def sync_method() -> Flow:
    """Chat Input -> Compute, sync, with a span `work in a thread` -> Chat Output."""
    return single("Sync method", own.ComputeComponent, "computed")


def where() -> Flow:
    """Chat Input -> Where, which tells the id of the process -> Chat Output."""
    return single("Where", own.WhereComponent, "where")


def carried(name: str) -> Flow:
    """Chat Input -> Baggage, which tells the baggage that it runs in -> Chat Output."""
    return single(name, own.BaggageComponent, "carried")


def component_logs() -> Flow:
    """Chat Input -> Log, which writes `first` and `second` to its log -> Chat Output."""
    return single("Component logs", own.LogComponent, "logged")


def text_only() -> Flow:
    """Text Input -> Count -> Text Output: no chat. Run it with `input_type="text"`."""
    flow = FlowBuilder("Text only")
    text, count = flow.add(TextInputComponent), flow.add(own.CountComponent)
    words = flow.add(TextOutputComponent)
    flow.connect(text, "text", count, "text")
    flow.connect(count, "words", words, "input_value")
    return flow.build()


def single(
    name: str, component: type[Component], output: str, *, field: str = "text", **values: Any
) -> Flow:
    """Chat Input -> `component`, which takes `field` and gives `output` -> Chat Output."""
    flow = FlowBuilder(name)
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    middle = flow.add(component, **values)
    flow.connect(question, "message", middle, field)
    flow.connect(middle, output, answered, "input_value")
    return flow.build()


def graph_of(flow: Flow, **kwargs: Any) -> Graph:
    """Make a fresh graph, with the flow's id and name as Langflow's server does."""
    return Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"], **kwargs)


async def run_flow(
    flow: Flow | Graph,
    text: str = "hi",
    *,
    session_id: str = "session-1",
    input_type: str = "chat",
    **kwargs: Any,
) -> str:
    """Run a flow through `Graph.arun` and return the text of its last output."""
    graph = flow if isinstance(flow, Graph) else graph_of(flow)
    runs = await graph.arun(
        [{"input_value": text}], types=[input_type], session_id=session_id, **kwargs
    )
    result = runs[-1].outputs[-1]
    return next(iter(result.results.values())).text


def graph_to_step(flow: Flow, text: str = "hi", *, session_id: str = "session-1") -> Graph:
    """Make a graph with its input and session set, for `Graph.async_start` takes neither."""
    flow = copy.deepcopy(flow)
    for node in flow["data"]["nodes"]:
        if node["data"]["type"] in {"ChatInput", "TextInput"}:
            node["data"]["node"]["template"]["input_value"]["value"] = text
    graph = graph_of(flow)
    graph.session_id = session_id
    return graph


async def step_flow(graph: Graph) -> AsyncGenerator[str, None]:
    """Run a graph through `Graph.async_start`, yielding the id of each component it built."""
    async with contextlib.aclosing(graph.async_start()) as steps:
        async for step in steps:
            if hasattr(step, "vertex"):
                yield step.vertex.id


class _MemoryChatService(Service):
    name = "chat_service"

    def __init__(self) -> None:
        self._results: dict[str, dict[str, Any]] = {}

    async def get_cache(self, key: str, **_: Any) -> Any:
        return self._results.get(str(key), CACHE_MISS)

    async def set_cache(self, key: str, data: Any, **_: Any) -> bool:
        self._results[str(key)] = {"result": data, "type": type(data)}
        return True

    async def teardown(self) -> None:
        self._results.clear()


@contextlib.contextmanager
def vertex_cache() -> Iterator[None]:
    """Keep the results of frozen components between runs.

    Langflow's chat service does; lfx alone has none, so it gets one in memory.
    """
    if get_chat_service() is not None:
        yield
        return
    services = get_service_manager().services
    services[ServiceType.CHAT_SERVICE] = _MemoryChatService()
    try:
        yield
    finally:
        del services[ServiceType.CHAT_SERVICE]
