"""The small Langflow components that the tests' flows are made of, next to Langflow's own.

A flow carries each one's source (see `flows.component_code`), so a class uses nothing of this
module but its imports.
"""

import asyncio
import json
import os
import threading
import time
import uuid
from types import SimpleNamespace

import httpx
from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.io import (
    DataFrameInput,
    FloatInput,
    HandleInput,
    MessageTextInput,
    NestedDictInput,
    Output,
    SecretStrInput,
)
from lfx.schema.data import Data
from lfx.schema.dataframe import DataFrame
from lfx.schema.message import Message
from opentelemetry import baggage, trace

from langflow_otel.demo.chat_model import ScriptedChatModel


class WaitComponent(Component):
    """Waits without blocking the event loop, then passes its text on under its label."""

    display_name = "Wait"
    name = "Wait"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="label", display_name="Label"),
        FloatInput(name="seconds", display_name="Seconds", value=0.2),
    ]
    outputs = [Output(display_name="Text", name="waited", method="wait")]

    async def wait(self) -> Message:
        await asyncio.sleep(self.seconds)
        return Message(text=f"{self.label} {self.text}".strip())


class SlowToolComponent(Component):
    """A tool that takes its time."""

    display_name = "Slow Tool"
    name = "SlowTool"
    inputs = [
        MessageTextInput(name="text", display_name="Text", tool_mode=True),
        FloatInput(name="seconds", display_name="Seconds", value=0.2),
    ]
    outputs = [Output(display_name="Text", name="waited", method="wait")]

    async def wait(self) -> Message:
        await asyncio.sleep(self.seconds)
        return Message(text=self.text)


class ComputeComponent(Component):
    """Computes in a sync method, which Langflow runs in a worker thread."""

    display_name = "Compute"
    name = "Compute"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Text", name="computed", method="compute")]

    def compute(self) -> Message:
        with trace.get_tracer("tests.support").start_as_current_span("work in a thread"):
            time.sleep(0.01)
        main = threading.current_thread() is threading.main_thread()
        return Message(text=f"{self.text} ({'main' if main else 'worker'} thread)")


class WhereComponent(Component):
    """Tells in which process it runs."""

    display_name = "Where"
    name = "Where"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Process", name="where", method="tell")]

    def tell(self) -> Message:
        return Message(text=str(os.getpid()))


class BaggageComponent(Component):
    """Tells the baggage that it runs in, in JSON."""

    display_name = "Baggage"
    name = "Baggage"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Baggage", name="carried", method="tell")]

    def tell(self) -> Message:
        return Message(text=json.dumps(dict(baggage.get_all()), sort_keys=True))


class ItemsComponent(Component):
    """Splits a text at its commas into the rows of a table."""

    display_name = "Items"
    name = "Items"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Items", name="items", method="split")]

    def split(self) -> DataFrame:
        return DataFrame([{"text": item.strip()} for item in self.text.split(",")])


class ShoutComponent(Component):
    """The body of a loop: one row in upper case. (A field called `item` breaks Langflow 1.7.)"""

    display_name = "Shout"
    name = "Shout"
    inputs = [HandleInput(name="row", display_name="Row", input_types=["Data", "JSON"])]
    outputs = [Output(display_name="Shouted", name="shouted", method="shout")]

    def shout(self) -> Data:
        return Data(text=self.row.get_text().upper())


class RowsComponent(Component):
    """Joins the rows of a table to one text."""

    display_name = "Rows"
    name = "Rows"
    inputs = [DataFrameInput(name="table", display_name="Table")]
    outputs = [Output(display_name="Text", name="joined", method="join")]

    def join(self) -> Message:
        rows = self.table.to_dict("records")
        return Message(text=" ".join(str(row["text"]) for row in rows))


class CallFlowComponent(Component):
    """Runs another flow inside this one, as Langflow's Run Flow does, from the flow's JSON."""

    display_name = "Call Flow"
    name = "CallFlow"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="called", method="call")]

    async def call(self) -> Message:
        graph = Graph.from_payload(
            self.flow["data"],
            flow_id=self.flow["id"],
            flow_name=self.flow["name"],
            user_id=self.user_id,
        )
        runs = await graph.arun([{"input_value": self.text}], session_id=self.graph.session_id)
        return Message(text=runs[0].outputs[0].results["message"].text)


class TicketComponent(Component):
    """Answers with another number every time it really runs."""

    display_name = "Ticket"
    name = "Ticket"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Ticket", name="ticket", method="draw")]

    def draw(self) -> Message:
        return Message(text=f"ticket {uuid.uuid4()}")


class TokenSourceComponent(Component):
    """Returns a message whose text is a stream that nobody has read yet."""

    display_name = "Token Source"
    name = "TokenSource"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Stream", name="tokens", method="stream_tokens")]

    async def stream_tokens(self) -> Message:
        model = ScriptedChatModel(script=["You streamed: {input}"], delay=0.05)
        return Message(text=model.astream(self.text))


class StreamBreakerComponent(Component):
    """Reads a piece of a model's stream, then has it fail where it stands."""

    display_name = "Stream Breaker"
    name = "StreamBreaker"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="how", display_name="How", value="async"),
    ]
    outputs = [Output(display_name="Said", name="said", method="interrupt")]

    async def interrupt(self) -> Message:
        model = ScriptedChatModel(script=["You streamed: {input}"])
        said = ""
        try:
            if self.how == "async":
                pieces = model.astream(self.text)
                said = (await pieces.__anext__()).content
                await pieces.athrow(KeyError("enough"))
            else:
                pieces = model.stream(self.text)
                said = next(pieces).content
                pieces.throw(KeyError("enough"))
        except KeyError:
            return Message(text=said)
        raise RuntimeError


class StreamSourceComponent(Component):
    """Returns, unread, one of the streams that Langflow knows: of LangChain's or of its own code.

    `fail_at` is the number of the piece at which it fails, and `pause` the seconds before each.
    """

    display_name = "Stream Source"
    name = "StreamSource"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="how", display_name="How", value="plain async"),
        FloatInput(name="pause", display_name="Pause", value=0.0),
        FloatInput(name="fail_at", display_name="Fail at", value=-1.0),
    ]
    outputs = [Output(display_name="Stream", name="tokens", method="stream_tokens")]

    async def stream_tokens(self) -> Message:
        model = ScriptedChatModel(script=["You streamed: {input}"], delay=self.pause)
        streams = {
            "LangChain async": lambda: model.astream(self.text),
            "LangChain sync": lambda: model.stream(self.text),
            "plain async": self._async_pieces,
            "plain sync": self._pieces,
        }
        return Message(text=streams[self.how]())

    def _pieces(self):
        for number, word in enumerate(f"You streamed: {self.text}".split(" ")):
            if number == self.fail_at:
                raise ConnectionError("the line is dead")
            yield SimpleNamespace(content=f"{' ' if number else ''}{word}")

    async def _async_pieces(self):
        for piece in self._pieces():
            await asyncio.sleep(self.pause)
            yield piece


class EchoComponent(Component):
    """Repeats all it is given in its output and in its log, a password too."""

    display_name = "Echo"
    name = "Echo"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="note", display_name="Note"),
        SecretStrInput(name="password", display_name="Password"),
    ]
    outputs = [Output(display_name="Echo", name="echo", method="repeat")]

    def repeat(self) -> Message:
        self.log(f"note={self.note} password={self.password}", name="seen")
        return Message(text=f"{self.text} note={self.note} password={self.password}")


class FetchComponent(Component):
    """Fetches a URL with httpx, then works under a span of its own."""

    display_name = "Fetch"
    name = "Fetch"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="url", display_name="URL"),
    ]
    outputs = [Output(display_name="Body", name="body", method="fetch")]

    async def fetch(self) -> Message:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(self.url)
        with trace.get_tracer("tests.support").start_as_current_span("digest"):
            text = response.text.strip()
        return Message(text=f"{response.status_code} {text}")


class CallerComponent(Component):
    """Gets a URL with the client it is told, several times over."""

    display_name = "Caller"
    name = "Caller"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="url", display_name="URL"),
        MessageTextInput(name="client", display_name="Client"),
        NestedDictInput(name="headers", display_name="Headers"),
    ]
    outputs = [Output(display_name="Body", name="body", method="fetch")]

    async def fetch(self) -> Message:
        headers = dict(self.headers or {})
        return Message(text=await getattr(self, f"_{self.client}")(headers))

    async def _httpx(self, headers: dict) -> str:
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as client:
            return (await client.get(self.url, headers=headers)).text

    async def _httpx_sync(self, headers: dict) -> str:
        with httpx.Client(trust_env=False, follow_redirects=True) as client:
            return client.get(self.url, headers=headers).text  # noqa: ASYNC212

    async def _httpx2(self, headers: dict) -> str:
        import httpx2

        async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as client:
            return (await client.get(self.url, headers=headers)).text

    async def _requests(self, headers: dict) -> str:
        import requests

        with requests.Session() as session:
            session.trust_env = False
            return session.get(self.url, headers=headers).text

    async def _late(self, headers: dict) -> str:
        async def later() -> None:
            while trace.get_current_span().is_recording():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await self._httpx(headers)

        self._task = asyncio.create_task(later())
        return "later"

    async def _aiohttp(self, headers: dict) -> str:
        import aiohttp

        async with aiohttp.ClientSession() as session, session.get(self.url, headers=headers) as r:
            return await r.text()


class AskComponent(Component):
    """Asks a model under a span of its own, as code that a user has instrumented does."""

    display_name = "Ask"
    name = "Ask"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Answer", name="answer", method="ask")]

    async def ask(self) -> Message:
        model = ScriptedChatModel(script=["You asked: {input}"])
        with trace.get_tracer("tests.support").start_as_current_span("my own work"):
            answer = await model.ainvoke(self.text)
        return Message(text=str(answer.content))


class AskInThreadComponent(Component):
    """Asks a model in a thread of LangChain's, which has a name of its own."""

    display_name = "Ask in thread"
    name = "AskInThread"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Answer", name="answer", method="ask")]

    async def ask(self) -> Message:
        model = ScriptedChatModel(script=["You asked: {input}"])
        metadata = {"thread_id": "thread-9"}
        answer = await model.ainvoke(self.text, config={"metadata": metadata})
        return Message(text=str(answer.content))


class ElsewhereComponent(Component):
    """Runs a flow of another Langflow's, over its API."""

    display_name = "Elsewhere"
    name = "Elsewhere"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="url", display_name="URL"),
        SecretStrInput(name="key", display_name="Key", load_from_db=False),
    ]
    outputs = [Output(display_name="Answer", name="answer", method="call")]

    async def call(self) -> Message:
        body = {"input_value": self.text, "input_type": "chat", "output_type": "chat"}
        # Whose run it is there, too; else it is of the user whose key it is.
        body["user_id"] = str(self.graph.user_id)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answered = await client.post(
                self.url,
                json={**body, "session_id": self.graph.session_id},
                headers={"x-api-key": self.key},
            )
        output = answered.json()["outputs"][0]["outputs"][0]
        return Message(text=output["results"]["message"]["text"])


class CallbackComponent(Component):
    """A tool with an argument of the name that LangChain uses itself."""

    display_name = "Callback"
    name = "Callback"
    inputs = [MessageTextInput(name="callbacks", display_name="Callbacks", tool_mode=True)]
    outputs = [Output(display_name="Seen", name="seen", method="see")]

    async def see(self) -> Message:
        self.log("seen")
        return Message(text=f"callbacks={self.callbacks}")


class LogComponent(Component):
    """Writes two lines to its log."""

    display_name = "Log"
    name = "Log"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Text", name="logged", method="write")]

    def write(self) -> Message:
        self.log("started", name="first")
        self.log({"text": self.text}, name="second")
        return Message(text=f"{self.text} (logged)")


class CountComponent(Component):
    """Counts the words of a text, for flows without chat."""

    display_name = "Count"
    name = "Count"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Words", name="words", method="count")]

    def count(self) -> Message:
        return Message(text=f"{len(self.text.split())} words")


class CircleComponent(Component):
    """Fails with an error of its own that is its own cause, directly or by way of another."""

    display_name = "Circle"
    name = "Circle"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Text", name="never", method="fail")]

    def fail(self) -> Message:
        class ToolException(Exception):
            pass

        error, other = ToolException("round and round"), ToolException("the other")
        error.__cause__, other.__cause__ = error, error
        if self.text == "two":
            error.__cause__ = other
        raise error
