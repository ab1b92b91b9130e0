"""Components that call OpenAI's API, each in one of the ways in which that is done.

A flow carries each one's source, so a class uses nothing of this module but its imports.
"""

from langchain_openai import ChatOpenAI
from lfx.custom.custom_component.component import Component
from lfx.io import MessageTextInput, Output, SecretStrInput
from lfx.schema.message import Message
from openai import AsyncOpenAI


class CallerComponent(Component):
    """Calls a model through LangChain, whole or streamed, or through OpenAI's own client."""

    display_name = "Caller"
    name = "Caller"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        MessageTextInput(name="how", display_name="How", value="LangChain"),
        MessageTextInput(name="model_name", display_name="Model", value="gpt-4o-mini"),
        MessageTextInput(name="base_url", display_name="Base URL"),
        SecretStrInput(name="api_key", display_name="API Key"),
    ]
    outputs = [Output(display_name="Answer", name="answer", method="ask")]

    async def ask(self) -> Message:
        if self.how.startswith("client"):
            return await self._by_client()
        model = ChatOpenAI(
            model=self.model_name,
            base_url=self.base_url,
            api_key=self.api_key,
            temperature=0.5,
            stream_usage=True,
        )
        if self.how == "LangChain stream":
            pieces = [piece.text async for piece in model.astream(self.text)]
            return Message(text="".join(str(piece) for piece in pieces))
        if self.how == "LangChain sync":
            return Message(text=model.invoke(self.text).content)
        return Message(text=(await model.ainvoke(self.text)).content)

    async def _by_client(self) -> Message:
        async with AsyncOpenAI(base_url=self.base_url, api_key=self.api_key) as client:
            answer = await client.chat.completions.create(
                model=self.model_name, messages=[{"role": "user", "content": self.text}]
            )
        message = Message(text=answer.choices[0].message.content)
        if self.how == "client, told":
            took = answer.usage
            usage = {
                "input_tokens": took.prompt_tokens,
                "output_tokens": took.completion_tokens,
                "total_tokens": took.total_tokens,
            }
            return Message(text=message.text, properties={"usage": usage})
        return message
