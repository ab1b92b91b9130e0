"""Components that call a model's API themselves, without LangChain, and what is done with that.

As in `components`, a flow carries each one's source, so a class uses nothing of this module but
its imports.
"""

import httpx
from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.io import HandleInput, MessageTextInput, NestedDictInput, Output, SecretStrInput
from lfx.schema.message import Message


class AskerComponent(Component):
    """Asks OpenAI's API over HTTP; what that took stands on the message that it gives out."""

    display_name = "Asker"
    name = "Asker"
    inputs = [
        HandleInput(name="asked", display_name="Asked", input_types=["Message", "Data", "JSON"]),
        MessageTextInput(name="base_url", display_name="Base URL"),
        SecretStrInput(name="api_key", display_name="API Key"),
    ]
    outputs = [Output(display_name="Answer", name="answer", method="ask")]

    async def ask(self) -> Message:
        asked = [{"role": "user", "content": self.asked.get_text()}]
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.post(
                f"{self.base_url}/chat/completions",
                json={"model": "gpt-4o-mini", "messages": asked},
                headers={"authorization": f"Bearer {self.api_key}"},
            )
        answer = response.raise_for_status().json()
        took = answer["usage"]
        usage = {
            "input_tokens": took["prompt_tokens"],
            "output_tokens": took["completion_tokens"],
            "total_tokens": took["total_tokens"],
        }
        return Message(
            text=answer["choices"][0]["message"]["content"],
            properties={"usage": usage, "source": answer["model"]},
        )


class HandOnComponent(Component):
    """Hands a message on: as it is, or a copy of it, or by way of the flow's context."""

    display_name = "Hand On"
    name = "HandOn"
    inputs = [
        HandleInput(name="message", display_name="Message", input_types=["Message"]),
        MessageTextInput(name="how", display_name="How", value="as it is"),
    ]
    outputs = [Output(display_name="Message", name="handed", method="hand_on")]

    def hand_on(self) -> Message:
        if self.how == "copied":
            return Message(**self.message.model_dump())
        if self.how == "put away":
            self.update_ctx({"put away": self.message})
            return Message(text="put away")
        if self.how == "taken out":
            return self.ctx["put away"]
        return self.message


class AnswerOfFlowComponent(Component):
    """Runs another flow, and hands on the message that it answers with."""

    display_name = "Answer of Flow"
    name = "AnswerOfFlow"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Answer", name="answer", method="call")]

    async def call(self) -> Message:
        flow = self.flow
        graph = Graph.from_payload(flow["data"], flow_id=flow["id"], flow_name=flow["name"])
        runs = await graph.arun([{"input_value": self.text}], session_id=self.graph.session_id)
        return Message(**runs[0].outputs[0].results["message"].model_dump())


class PiecesComponent(Component):
    """Streams pieces of its own; the last says what all took, in one of Langflow's ways."""

    display_name = "Pieces"
    name = "Pieces"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="how", display_name="How", value="usage_metadata"),
    ]
    outputs = [Output(display_name="Stream", name="pieces", method="stream")]

    def stream(self) -> Message:
        self.model_id = "pieces-1"
        return Message(text=self._pieces())

    async def _pieces(self):
        from types import SimpleNamespace

        counts = {
            "usage_metadata": {
                "usage_metadata": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
            },
            "an object": {
                "usage_metadata": SimpleNamespace(input_tokens=3, output_tokens=2, total_tokens=5)
            },
            "token_usage": {
                "response_metadata": {
                    "token_usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
                }
            },
            "usage": {"response_metadata": {"usage": {"input_tokens": 3, "output_tokens": 2}}},
        }
        yield SimpleNamespace(content="so ")
        yield SimpleNamespace(content=self.text, **counts[self.how])
