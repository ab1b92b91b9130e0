"""A chat model that answers from a script: no network, no API key, the same every time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, SecretStr

PROVIDER = "scripted"


class ScriptedChatModel(BaseChatModel):
    """Answers from `script`, calls the tools named in `tool_calls`, and counts its tokens.

    The answer depends on the messages alone, so one model may serve many runs at once:

    - tools are bound and none has answered since the last human message: a call of each entry
      of `tool_calls`, all in one message, as models call tools in parallel;
    - tools have answered: `tool_answer`;
    - else the line of `script` for this turn of the conversation, starting over at its end.

    `{input}` in a line, or in the text arguments of a tool call, stands for the last human
    message, and `{tools}` for what the tools answered. A token is a word.
    """

    model_name: str = "scripted-1"
    script: list[str] = Field(default_factory=lambda: ["You said: {input}"])
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    """The calls to make, each as `{"name": ..., "args": {...}}`."""
    tool_answer: str = "The tools answered: {tools}"
    api_key: SecretStr | None = None
    """Taken as real providers take theirs; never used."""
    delay: float = 0.0
    """Seconds that a call takes, spread over its tokens when it is streamed."""

    @property
    def _llm_type(self) -> str:
        return "scripted-chat-model"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        params["ls_model_name"] = self.model_name
        return params

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Bind the tools in OpenAI's format, as most providers do."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        time.sleep(self.delay)
        return self._result(self._reply(messages, kwargs.get("tools")))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        await asyncio.sleep(self.delay)
        return self._result(self._reply(messages, kwargs.get("tools")))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        chunks = self._chunks(self._reply(messages, kwargs.get("tools")))
        for chunk in chunks:
            time.sleep(self.delay / len(chunks))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        chunks = self._chunks(self._reply(messages, kwargs.get("tools")))
        for chunk in chunks:
            await asyncio.sleep(self.delay / len(chunks))
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _reply(self, messages: list[BaseMessage], tools: list[dict[str, Any]] | None) -> AIMessage:
        last_human = max(
            (i for i, message in enumerate(messages) if isinstance(message, HumanMessage)),
            default=-1,
        )
        question = _text(messages[last_human]) if last_human >= 0 else ""
        answers = [m for m in messages[last_human + 1 :] if isinstance(m, ToolMessage)]
        calls: list[ToolCall] = []
        if answers:
            text = self.tool_answer.replace("{tools}", "; ".join(_text(m) for m in answers))
        elif tools and self.tool_calls:
            text, calls = "", self._calls(question, tools, turn=len(messages))
        else:
            spoken = sum(isinstance(m, AIMessage) and not m.tool_calls for m in messages)
            text = self.script[spoken % len(self.script)]
        text = text.replace("{input}", question)
        usage = _usage(messages, text, calls)
        return AIMessage(
            content=text,
            tool_calls=calls,
            usage_metadata=usage,
            response_metadata={
                "model_name": self.model_name,
                "model_provider": PROVIDER,
                "finish_reason": "tool_calls" if calls else "stop",
                "token_usage": {
                    "prompt_tokens": usage["input_tokens"],
                    "completion_tokens": usage["output_tokens"],
                    "total_tokens": usage["total_tokens"],
                },
            },
        )

    def _calls(self, question: str, tools: list[dict[str, Any]], turn: int) -> list[ToolCall]:
        bound = {tool["function"]["name"] for tool in tools}
        if missing := {call["name"] for call in self.tool_calls} - bound:
            msg = f"the script calls {sorted(missing)}, but the tools bound are {sorted(bound)}"
            raise ValueError(msg)
        return [
            ToolCall(
                name=call["name"],
                args={
                    name: value.replace("{input}", question) if isinstance(value, str) else value
                    for name, value in call.get("args", {}).items()
                },
                id=f"call_{turn}_{number}",
                type="tool_call",
            )
            for number, call in enumerate(self.tool_calls, start=1)
        ]

    def _result(self, message: AIMessage) -> ChatResult:
        return ChatResult(
            generations=[ChatGeneration(message=message)],
            llm_output={
                "model_name": self.model_name,
                "token_usage": message.response_metadata["token_usage"],
            },
        )

    def _chunks(self, message: AIMessage) -> list[ChatGenerationChunk]:
        """Split a reply into tokens; calls come whole, usage and metadata on the last chunk."""
        pieces = [AIMessageChunk(content=token) for token in _tokens(_text(message))]
        pieces += [
            AIMessageChunk(
                content="",
                tool_call_chunks=[
                    tool_call_chunk(
                        name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
                    )
                ],
            )
            for index, call in enumerate(message.tool_calls)
        ]
        last = AIMessageChunk(
            content="",
            usage_metadata=message.usage_metadata,
            response_metadata=message.response_metadata,
        )
        return [ChatGenerationChunk(message=piece) for piece in [*pieces, last]]


def _text(message: BaseMessage) -> str:
    """Return the text of a message; attribute or method by LangChain's version."""
    content = message.content
    if isinstance(content, str):
        return content
    parts = (part if isinstance(part, str) else part.get("text", "") for part in content)
    return "".join(parts)


def _tokens(text: str) -> list[str]:
    words = text.split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:] if text else []


def _usage(messages: list[BaseMessage], text: str, calls: list[ToolCall]) -> UsageMetadata:
    written = [text, *(f"{call['name']} {json.dumps(call['args'])}" for call in calls)]
    read = sum(len(_text(message).split()) for message in messages)
    said = sum(len(part.split()) for part in written)
    return UsageMetadata(input_tokens=read, output_tokens=said, total_tokens=read + said)
