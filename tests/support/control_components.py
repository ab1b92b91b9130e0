"""Small components for flows that loop, branch, call other flows, and call themselves.

As in `components`, a flow carries each one's source, so a class uses nothing of this module but
its imports.
"""

import asyncio
import json

from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.io import (
    DataFrameInput,
    FloatInput,
    HandleInput,
    MessageTextInput,
    NestedDictInput,
    Output,
)
from lfx.schema.data import Data
from lfx.schema.dataframe import DataFrame
from lfx.schema.message import Message
from opentelemetry import trace

from langflow_otel import LangflowInstrumentor
from langflow_otel.demo.chat_model import ScriptedChatModel
from tests.support.open_spans import OpenSpans


class RowsOrNoneComponent(Component):
    """Splits a text at its commas into the rows of a table, of which there may be none."""

    display_name = "Rows or None"
    name = "RowsOrNone"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Items", name="items", method="split")]

    def split(self) -> DataFrame:
        return DataFrame([{"text": item} for item in self.text.split(",") if item != "none"])


class WordsComponent(Component):
    """Splits one row into a table of its words."""

    display_name = "Words"
    name = "Words"
    inputs = [HandleInput(name="row", display_name="Row", input_types=["Data", "JSON"])]
    outputs = [Output(display_name="Words", name="words", method="split")]

    def split(self) -> DataFrame:
        return DataFrame([{"text": word} for word in self.row.get_text().split()])


class SentenceComponent(Component):
    """Joins a table of words to one row."""

    display_name = "Sentence"
    name = "Sentence"
    inputs = [DataFrameInput(name="table", display_name="Table")]
    outputs = [Output(display_name="Row", name="sentence", method="join")]

    def join(self) -> Data:
        return Data(text=" ".join(str(text) for text in self.table["text"]))


class AskRowComponent(Component):
    """The body of a loop: asks a model about one row; `bad` is more than it can bear."""

    display_name = "Ask Row"
    name = "AskRow"
    inputs = [HandleInput(name="row", display_name="Row", input_types=["Data", "JSON"])]
    outputs = [Output(display_name="Answer", name="answer", method="ask")]

    async def ask(self) -> Data:
        text = self.row.get_text().strip()
        if text == "bad":
            raise LookupError("a bad row")
        answer = await ScriptedChatModel(script=["{input}!"]).ainvoke(text)
        return Data(text=str(answer.content))


class CallRowComponent(Component):
    """The body of a loop: runs another flow on one row."""

    display_name = "Call Row"
    name = "CallRow"
    inputs = [
        HandleInput(name="row", display_name="Row", input_types=["Data", "JSON"]),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="called", method="call")]

    async def call(self) -> Data:
        flow = self.flow
        graph = Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"])
        text = self.row.get_text()
        runs = await graph.arun([{"input_value": text}], session_id=self.graph.session_id)
        return Data(text=runs[0].outputs[0].results["message"].text)


class GrowComponent(Component):
    """Makes a text one letter longer."""

    display_name = "Grow"
    name = "Grow"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Longer", name="longer", method="grow")]

    def grow(self) -> Message:
        return Message(text=f"{self.text}x")


class CallComponent(Component):
    """Runs another flow in a session of its own, or in this one; passes on what goes wrong."""

    display_name = "Call"
    name = "Call"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="session", display_name="Session"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="called", method="call")]

    async def call(self) -> Message:
        flow = self.flow
        graph = Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"])
        session = self.session or self.graph.session_id
        runs = await graph.arun([{"input_value": self.text}], session_id=session)
        return Message(text=runs[0].outputs[0].results["message"].text)


class TryFlowComponent(Component):
    """Runs another flow, and does with its failure."""

    display_name = "Try Flow"
    name = "TryFlow"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="tried", method="attempt")]

    async def attempt(self) -> Message:
        flow = self.flow
        graph = Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"])
        try:
            await graph.arun([{"input_value": self.text}], session_id=self.graph.session_id)
        except ValueError:
            return Message(text="recovered")
        return Message(text="never failed")


class HurryComponent(Component):
    """Runs another flow, and does not wait for long."""

    display_name = "Hurry"
    name = "Hurry"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="hurried", method="hurry")]

    async def hurry(self) -> Message:
        flow = self.flow
        graph = Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"])
        run = graph.arun([{"input_value": self.text}], session_id=self.graph.session_id)
        try:
            await asyncio.wait_for(run, 1)
        except asyncio.TimeoutError:
            return Message(text="gave up")
        return Message(text="came to its end")


class WaitToolComponent(Component):
    """A tool that takes its time."""

    display_name = "Wait Tool"
    name = "WaitTool"
    inputs = [
        MessageTextInput(name="text", display_name="Text", tool_mode=True),
        FloatInput(name="seconds", display_name="Seconds", value=0.2),
    ]
    outputs = [Output(display_name="Waited", name="waited", method="wait")]

    async def wait(self) -> Message:
        await asyncio.sleep(self.seconds)
        return Message(text=f"waited {self.text}")


class CallBothComponent(Component):
    """Runs the same flow twice at a time."""

    display_name = "Call Both"
    name = "CallBoth"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="called", method="call")]

    async def call(self) -> Message:
        answers = await asyncio.gather(self._run("left"), self._run("right"))
        return Message(text=" ".join(answers))

    async def _run(self, text: str) -> str:
        flow = self.flow
        graph = Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"])
        runs = await graph.arun([{"input_value": text}], session_id=self.graph.session_id)
        return str(runs[0].outputs[0].results["message"].text)


class OpenSpansComponent(Component):
    """Tells which spans of this process are open, its own run's apart, since it was run first."""

    display_name = "Open Spans"
    name = "OpenSpans"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Open", name="open", method="tell")]

    def tell(self) -> Message:
        provider = LangflowInstrumentor().tracer_provider
        if not hasattr(provider, "open_spans"):
            provider.open_spans = OpenSpans(provider)
        own = trace.get_current_span().get_span_context().trace_id
        return Message(text=json.dumps(provider.open_spans.apart_from(own)))


class CountDownComponent(Component):
    """Runs the flow that it is in once more, until the number it is given is used up."""

    display_name = "Count Down"
    name = "CountDown"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Text", name="counted", method="count")]

    async def count(self) -> Message:
        left = int(self.text)
        if left == 0:
            return Message(text="0")
        here = self.graph
        flow = {"nodes": here._vertices, "edges": here._edges}
        graph = Graph.from_payload(flow, flow_id=here.flow_id, flow_name=here.flow_name)
        runs = await graph.arun([{"input_value": str(left - 1)}], session_id=here.session_id)
        return Message(text=f"{left} {runs[0].outputs[0].results['message'].text}")
