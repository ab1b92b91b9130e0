"""What the OpenAI stand-in answers: derived from the request, the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A function that the model may call."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Their JSON schema."""


@dataclass(frozen=True)
class ToolCall:
    """A call that the model makes, or has made."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Message:
    """A message of the conversation, its content as text."""

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Ask:
    """A request for an answer of a model, whichever of the two APIs it came by."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of a tool."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer has to have."""
    json_object: bool = False
    stream: bool = False
    include_usage: bool = True

    @property
    def question(self) -> str:
        """The last message of the user."""
        said = [message.text for message in self.messages if message.role == "user"]
        return said[-1] if said else ""

    @property
    def results(self) -> tuple[str, ...]:
        """What tools have answered since then."""
        results: list[str] = []
        for message in self.messages:
            if message.role == "user":
                results = []
            elif message.role == "tool":
                results.append(message.text)
        return tuple(results)


@dataclass(frozen=True)
class Usage:
    """Tokens. The cached ones are among those of the prompt, the reasoning ones in the answer's."""

    prompt: int
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True)
class Answer:
    """What the model says, and how it gets there."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    """Default: a token a word; a fourth of the prompt was cached; reasoning models think a bit."""
    delay: float = 0.0
    """Seconds before the first byte."""
    pause: float = 0.0
    """Seconds after each event of a stream; `math.inf` hangs until `faults.release()`."""
    pace: Callable[[], None] = lambda: None
    """Called before each piece of a streamed text, which is sent when this returns."""
    cut_after: int | None = None
    """After so many events of a stream the connection is reset."""
    status: int = 200
    """Another one is an error; the text is its message."""


def derived(
    ask: Ask,
    *,
    calls: Callable[[Tool], bool] = lambda _: True,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    at_once: int = 1,
) -> Answer:
    """Call tools, then answer; with an instance of the schema where there is one.

    Args:
        ask: the request.
        calls: which tools may be called at all, unless the request insists on one.
        arguments: those of a tool by its name; default: made from its schema.
        at_once: how many tools are called in parallel.
    """
    tools = _called(ask, calls)[: 1 if ask.tool_choice not in ("auto", "required") else at_once]
    if tools:
        given = arguments or {}
        return Answer(
            tool_calls=tuple(
                ToolCall(
                    tool.name,
                    given.get(tool.name) or instance({"type": "object", **tool.parameters}),
                )
                for tool in tools
            )
        )
    if ask.schema is not None:
        return Answer(json.dumps(instance(ask.schema)))
    if ask.json_object:
        return Answer(json.dumps({"answer": _short(ask.question)}))
    said = [f"An answer to: {_short(ask.question)}"]
    said += [f"A tool says: {_short(result)}" for result in ask.results]
    return Answer("\n\n".join(said))


def offline(names: Collection[str]) -> Callable[[Tool], bool]:
    """For `derived`: only these tools are called."""
    return lambda tool: tool.name in names


def _called(ask: Ask, calls: Callable[[Tool], bool]) -> list[Tool]:
    if ask.tool_choice not in ("auto", "none", "required"):
        return [tool for tool in ask.tools if tool.name == ask.tool_choice]
    if ask.results or ask.tool_choice == "none":
        return []
    chosen = [tool for tool in ask.tools if calls(tool)]
    return chosen or (list(ask.tools) if ask.tool_choice == "required" else [])


def usage_of(ask: Ask, answer: Answer) -> Usage:
    """The tokens of a call."""
    if answer.usage is not None:
        return answer.usage
    prompt = sum(3 + len(message.text.split()) for message in ask.messages) + 9 * len(ask.tools)
    said = [answer.text, *(f"{c.name} {json.dumps(c.arguments)}" for c in answer.tool_calls)]
    reasoning = 7 if ask.model.startswith(("o1", "o3", "o4", "gpt-5")) else 0
    completion = sum(len(part.split()) for part in said) + reasoning
    return Usage(prompt, completion, cached=prompt // 4, reasoning=reasoning)


def instance(schema: Mapping[str, Any]) -> Any:
    """A value that has the JSON schema: the smallest, what is optional left out."""
    return _instance(schema, schema.get("$defs") or schema.get("definitions") or {}, "value")


def _instance(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> Any:
    if "$ref" in schema:
        return _instance(definitions[schema["$ref"].rpartition("/")[2]], definitions, name)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("enum", "examples", "anyOf", "oneOf", "allOf"):
        if schema.get(key):
            (first, *_) = schema[key]
            return first if key[0] == "e" else _instance(first, definitions, name)
    return _of_type(schema, definitions, name)


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        required: Sequence[str] = schema.get("required", ())
        return {key: _instance(properties[key], definitions, key) for key in required}
    if kind == "array":
        items = schema.get("items", {})
        return [_instance(items, definitions, name)] * max(1, schema.get("minItems", 1))
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return {"boolean": True, "null": None}.get(kind, f"some {name}")


def _short(text: str) -> str:
    words = text.split()
    return " ".join(words[:12]) + (" ..." if len(words) > 12 else "")
