"""Flows that loop, branch, go in circles, call other flows, and call themselves."""

from __future__ import annotations

import json

from lfx.components.flow_controls import ConditionalRouterComponent, LoopComponent
from lfx.components.input_output import ChatInput, ChatOutput

from langflow_otel.demo.components import ScriptedModelComponent
from langflow_otel.demo.flows import Flow, FlowBuilder, add_agent
from tests.support import components as shared
from tests.support import control_components as own
from tests.support.flows import single


def loop_that_asks() -> Flow:
    """Chat Input -> Rows or None -> Loop, whose body Ask Row calls a model -> Rows -> Chat Output.

    One row for each part between commas; `none` is no row at all, and at `bad` the body fails.
    """
    flow = FlowBuilder("Loop that asks")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    items, rows = flow.add(own.RowsOrNoneComponent), flow.add(shared.RowsComponent)
    loop, body = flow.add(LoopComponent), flow.add(own.AskRowComponent)
    flow.connect(question, "message", items, "text")
    flow.connect(items, "items", loop, "data")
    flow.connect(loop, "item", body, "row")
    flow.connect(body, "answer", loop, "item")
    flow.connect(loop, "done", rows, "table")
    flow.connect(rows, "joined", answered, "input_value")
    return flow.build()


def loop_that_calls(inner: Flow) -> Flow:
    """Chat Input -> Rows or None -> Loop, whose body runs `inner` -> Rows -> Chat Output."""
    flow = FlowBuilder("Loop that calls")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    items, rows = flow.add(own.RowsOrNoneComponent), flow.add(shared.RowsComponent)
    loop, body = flow.add(LoopComponent), flow.add(own.CallRowComponent, flow=inner)
    flow.connect(question, "message", items, "text")
    flow.connect(items, "items", loop, "data")
    flow.connect(loop, "item", body, "row")
    flow.connect(body, "called", loop, "item")
    flow.connect(loop, "done", rows, "table")
    flow.connect(rows, "joined", answered, "input_value")
    return flow.build()


def nested_loops() -> Flow:
    """Chat Input -> Items -> Outer, with the body Words -> Inner (Shout) -> Sentence -> Rows.

    Loops over the parts between commas, and in each over its words.
    """
    flow = FlowBuilder("Nested loops")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    items, rows = flow.add(shared.ItemsComponent), flow.add(shared.RowsComponent)
    outer = flow.add(LoopComponent, id_="Loop-outer", display_name="Outer")
    inner = flow.add(LoopComponent, id_="Loop-inner", display_name="Inner")
    words, sentence = flow.add(own.WordsComponent), flow.add(own.SentenceComponent)
    shout = flow.add(shared.ShoutComponent)
    flow.connect(question, "message", items, "text")
    flow.connect(items, "items", outer, "data")
    flow.connect(outer, "item", words, "row")
    flow.connect(words, "words", inner, "data")
    flow.connect(inner, "item", shout, "row")
    flow.connect(shout, "shouted", inner, "item")
    flow.connect(inner, "done", sentence, "table")
    flow.connect(sentence, "sentence", outer, "item")
    flow.connect(outer, "done", rows, "table")
    flow.connect(rows, "joined", answered, "input_value")
    return flow.build()


def branches() -> Flow:
    """Chat Input -> If-Else, which goes on to Yes where it is given `yes`, else to No."""
    flow = FlowBuilder("Branches")
    question = flow.add(ChatInput)
    router = flow.add(ConditionalRouterComponent, match_text="yes", operator="equals")
    for field in ("input_text", "true_case_message", "false_case_message"):
        flow.connect(question, "message", router, field)
    for name, output in (("Yes", "true_result"), ("No", "false_result")):
        branch = flow.add(shared.CountComponent, id_=f"Count-{name}", display_name=name)
        answered = flow.add(ChatOutput, id_=f"ChatOutput-{name}", display_name=f"Answer {name}")
        flow.connect(router, output, branch, "text")
        flow.connect(branch, "words", answered, "input_value")
    return flow.build()


def circle() -> Flow:
    """Chat Input -> Grow -> If-Else, which goes back to Chat Input until there are three x.

    Step it: what runs a flow by layers does not get into a circle.
    """
    flow = FlowBuilder("Circle")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    grow = flow.add(own.GrowComponent)
    router = flow.add(ConditionalRouterComponent, match_text="xxx", operator="ends with")
    flow.connect(question, "message", grow, "text")
    flow.connect(grow, "longer", router, "input_text")
    flow.connect(router, "false_result", question, "input_value")
    flow.connect(router, "true_result", answered, "input_value")
    return flow.build()


def call(inner: Flow, session: str = "", name: str = "Outer") -> Flow:
    """Chat Input -> Call, which runs `inner`, in `session` if there is one -> Chat Output."""
    return single(name, own.CallComponent, "called", flow=inner, session=session)


def call_both(inner: Flow) -> Flow:
    """Chat Input -> Call Both, which runs `inner` twice at a time -> Chat Output."""
    return single("Twice at a time", own.CallBothComponent, "called", flow=inner)


def recovering(inner: Flow) -> Flow:
    """Chat Input -> Try Flow, which runs `inner` and does with its failure -> Chat Output."""
    return single("Recovering", own.TryFlowComponent, "tried", flow=inner)


def impatient(inner: Flow) -> Flow:
    """Chat Input -> Hurry, which gives up on `inner` after a moment -> Chat Output."""
    return single("Impatient", own.HurryComponent, "hurried", flow=inner)


def agent_that_waits(seconds: float) -> Flow:
    """Chat Input -> Agent, which calls `wait` that takes as long -> Chat Output."""
    flow = FlowBuilder("Agent that waits")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    calls = json.dumps([{"name": "wait", "args": {"text": "for it"}}])
    model = flow.add(ScriptedModelComponent, tool_calls=calls)
    wait = flow.add(own.WaitToolComponent, tool_mode=True, seconds=seconds)
    agent = add_agent(flow, model, [wait])
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answered, "input_value")
    return flow.build()


def open_spans() -> Flow:
    """Chat Input -> Open Spans, which tells what is not ended in this process -> Chat Output."""
    return single("Open spans", own.OpenSpansComponent, "open")


def countdown() -> Flow:
    """Chat Input -> Count Down, which runs this flow again for each number left -> Chat Output."""
    return single("Countdown", own.CountDownComponent, "counted")
