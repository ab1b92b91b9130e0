"""A local Langfuse: takes spans by its rules, and reads from them what its server would.

What is read, and what is dropped in silence, is what research found in Langfuse's own mapper
(`OtelIngestionProcessor.ts` and `ObservationTypeMapper.ts`, August 2026). It goes without the parts
for other vendors' attributes (Genkit, Vercel's AI SDK, LiveKit and so on), which we do not send.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.faults import Reply
from tests.support.receiver import Attempt, Incoming, OtlpReceiver, Refused
from tests.support.spans import KIND, Span

TRACES = "/api/public/otel/v1/traces"
HEALTH = "/api/public/health"
TYPES = frozenset({
    "span", "generation", "event", "embedding", "agent", "tool", "chain", "retriever",
    "guardrail", "evaluator",
})  # fmt: skip
LEVELS = frozenset({"DEBUG", "DEFAULT", "WARNING", "ERROR"})

_OBSERVATION, _TRACE = "langfuse.observation.", "langfuse.trace."
_TYPE = _OBSERVATION + "type"
_INPUT, _OUTPUT = _OBSERVATION + "input", _OBSERVATION + "output"
_MODEL, _PARAMETERS = _OBSERVATION + "model.name", _OBSERVATION + "model.parameters"
_USAGE, _COST = _OBSERVATION + "usage_details", _OBSERVATION + "cost_details"
_FIRST = _OBSERVATION + "completion_start_time"
_PROMPT, _PROMPT_VERSION = _OBSERVATION + "prompt.name", _OBSERVATION + "prompt.version"
_LEVEL, _MESSAGE = _OBSERVATION + "level", _OBSERVATION + "status_message"
_TOOL_NAME, _OPERATION = "gen_ai.tool.name", "gen_ai.operation.name"
_COST_TOTALS = ("gen_ai.usage.cost", "llm.cost.total")

_SESSIONS = ("langfuse.session.id", "session.id", "gen_ai.conversation.id")
_USERS = ("langfuse.user.id", "user.id")
_TAGS = (_TRACE + "tags", "langfuse.tags", "tag.tags")
_ENVIRONMENTS = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
_MODELS = (
    _MODEL, "gen_ai.response.model", "gen_ai.request.model", "llm.response.model",
    "llm.model_name", "model",
)  # fmt: skip
_GENERIC = ("prompt", "input", "output", "model", "events", "tools")
_LEFTOVERS = ("langsmith.", "langflow.export.parent")
_BY_KIND = {
    "CHAIN": "chain", "RETRIEVER": "retriever", "LLM": "generation", "EMBEDDING": "embedding",
    "AGENT": "agent", "TOOL": "tool", "GUARDRAIL": "guardrail", "EVALUATOR": "evaluator",
}  # fmt: skip
_BY_OPERATION = {
    **dict.fromkeys(
        ("chat", "completion", "text_completion", "generate_content", "generate"), "generation"
    ),
    "embeddings": "embedding",
    **dict.fromkeys(("invoke_agent", "create_agent"), "agent"),
    "execute_tool": "tool",
}
_LONGEST = 200


@dataclass(frozen=True)
class Observation:
    """A row of Langfuse's, as its server makes it of a span."""

    span: Span
    trace_id: str
    id: str
    parent_id: str
    """"" for a root."""
    type: str
    """In lower case."""
    name: str
    input: Any
    """Parsed where it is JSON, as Langfuse shows it; None where there is none. Output likewise."""
    output: Any
    model: str | None
    model_parameters: Mapping[str, Any]
    usage_details: Mapping[str, int]
    cost_details: Mapping[str, float]
    completion_start_time: datetime | None
    session_id: str | None
    user_id: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    """Of the observation; the span's other attributes are under `attributes`, and the resource's
    under `resourceAttributes`."""
    trace_name: str | None
    trace_metadata: Mapping[str, Any]
    trace_input: Any
    trace_output: Any
    environment: str
    release: str | None
    version: str | None
    level: str
    status_message: str | None
    prompt_name: str | None
    prompt_version: int | None


class LangfuseReceiver(OtlpReceiver):
    """Stands in for Langfuse: `LANGFUSE_HOST=receiver.endpoint`, and the two keys.

    Args:
        public_key: The one it expects.
        secret_key: The one it expects.
        sdk: Take what Langfuse's own SDK sends, too: any ingestion version, and its headers.
    """

    traces_path = TRACES
    other_paths = ()
    encodings = ("identity", "gzip")

    def __init__(
        self, public_key: str = "pk-lf-test", secret_key: str = "sk-lf-test", *, sdk: bool = False
    ) -> None:
        super().__init__()
        self.public_key = public_key
        self.secret_key = secret_key
        self._sdk = sdk
        self._violations: list[str] = []
        pair = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
        self._authorization = f"Basic {pair}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead here."""
        return {
            "LANGFUSE_PUBLIC_KEY": self.public_key,
            "LANGFUSE_SECRET_KEY": self.secret_key,
            "LANGFUSE_HOST": self.endpoint,
        }

    @property
    def observations(self) -> list[Observation]:
        """What the server would have made of all spans so far, in the order they came."""
        return [observation(span) for span in self.spans]

    @property
    def violations(self) -> list[str]:
        """What was taken, and then dropped, hijacked or lost in silence: a line each."""
        with self._changed:
            return list(self._violations)

    @property
    def other_requests(self) -> list[Attempt]:
        """Every request for something else than to take spans: what only an SDK would ask."""
        return [a for a in self.attempts if (a.method, a.path) != ("POST", TRACES)]

    def problems(self) -> list[str]:
        """The violations, and what is wrong with whole traces; only to ask when all has come."""
        return [*self.violations, *_problems_of_traces(self.spans)]

    def check_whole(self) -> None:
        """Raise AssertionError where anything was refused, violated, or a trace is not whole."""
        problems = [*self.rejected, *self.problems()]
        assert problems == [], "\n".join(problems)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._changed:
            super().clear()
            self._violations.clear()

    def respond(self, request: Incoming) -> Reply:
        """Take spans; Refused where the request breaks a rule."""
        if (request.method, request.path) == ("GET", HEALTH):
            return Reply(200, b'{"status":"OK","version":"3.0.0"}', "application/json")
        return super().respond(request)

    def check_headers(self, request: Incoming) -> None:
        """Raise Refused where the headers break a rule."""
        if request.headers.get("authorization") != self._authorization:
            raise Refused(401, "authorization is not Basic with the public and the secret key")
        if not self._sdk:
            version = request.headers.get("x-langfuse-ingestion-version")
            if version != "4":
                raise Refused(400, f"x-langfuse-ingestion-version {version!r}")
            for name in ("x-langfuse-sdk-name", "x-langfuse-sdk-version"):
                if name in request.headers:
                    raise Refused(400, f"header {name}: the server would read metadata differently")
        super().check_headers(request)

    def accept(self, spans: list[Span]) -> None:
        """Look for violations."""
        found = [f"{span.name}: {rule}" for span in spans for rule in violations_of(span)]
        with self._changed:
            self._violations += found


# -- what the server reads


def observation(span: Span) -> Observation:
    """What Langfuse's server makes of a span."""
    attributes = span.attributes
    kind = _type(span)
    ignores_model = attributes.get(_OPERATION) in ("invoke_agent", "agent_step")
    name, version = attributes.get(_PROMPT), attributes.get(_PROMPT_VERSION)
    linked = kind == "generation" and isinstance(name, str) and _is_int(version)
    shown = _io(attributes)
    root = not span.parent_id or attributes.get("langfuse.internal.as_root") is True
    trace_io = shown if root else (None, None)
    return Observation(
        span=span,
        trace_id=span.trace_id,
        id=span.span_id,
        parent_id=span.parent_id,
        type=kind,
        name=str(attributes.get(_TOOL_NAME) or span.name),
        input=shown[0],
        output=shown[1],
        model=None if ignores_model else _text(_first(attributes, _MODELS)),
        model_parameters=_parameters(attributes),
        usage_details={} if ignores_model else _usage(attributes),
        cost_details={} if ignores_model else _cost(attributes),
        completion_start_time=_time(attributes.get(_FIRST)),
        session_id=_text(_first(attributes, _SESSIONS)),
        user_id=_text(_first(attributes, _USERS)),
        tags=_tags(_first(attributes, _TAGS)),
        metadata=_metadata(span),
        trace_name=_text(attributes.get(_TRACE + "name")) or (span.name if root else None),
        trace_metadata={
            **_below(attributes, "langfuse.metadata"),
            **_below(attributes, _TRACE + "metadata"),
        },
        trace_input=_parsed(attributes.get(_TRACE + "input", trace_io[0])),
        trace_output=_parsed(attributes.get(_TRACE + "output", trace_io[1])),
        environment=_environment(span),
        release=_text(attributes.get("langfuse.release", span.resource.get("langfuse.release"))),
        version=_text(attributes.get("langfuse.version", span.resource.get("service.version"))),
        level=_level(span),
        status_message=_text(attributes.get(_MESSAGE)) or span.status_message or None,
        prompt_name=name if linked else None,
        prompt_version=version if linked else None,
    )


def _type(span: Span) -> str:
    attributes = span.attributes
    explicit = attributes.get(_TYPE)
    if explicit in TYPES:
        return str(explicit)
    for key, table in ((KIND, _BY_KIND), (_OPERATION, _BY_OPERATION)):
        found = table.get(str(attributes.get(key)))
        if found:
            return found
    if _TOOL_NAME in attributes or "gen_ai.tool.call.id" in attributes:
        return "tool"
    return "span" if _first(attributes, _MODELS) is None else "generation"


def _io(attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """Input and output: of the first pair of attributes of which either is there."""
    pairs = (
        (_INPUT, _OUTPUT),
        ("input.value", "output.value"),
        ("input", "output"),
        ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
    )
    if _INPUT not in attributes and _OUTPUT not in attributes:
        for hijacker in ("prompt", "events"):
            if hijacker in attributes:
                return _parsed(attributes[hijacker]), None
    for left, right in pairs[:3]:
        if left in attributes or right in attributes:
            return _parsed(attributes.get(left)), _parsed(attributes.get(right))
    messages = _below(attributes, "llm.input_messages"), _below(attributes, "llm.output_messages")
    if any(messages):
        return messages[0] or None, messages[1] or None
    left, right = pairs[3]
    gen_ai = attributes.get("gen_ai.input.messages"), attributes.get("gen_ai.output.messages")
    if any(value is not None for value in gen_ai):
        return _parsed(gen_ai[0]), _parsed(gen_ai[1])
    return _parsed(attributes.get(left)), _parsed(attributes.get(right))


def _parameters(attributes: Mapping[str, Any]) -> dict[str, Any]:
    for key in (_PARAMETERS, "llm.invocation_parameters"):
        found = _parsed(attributes.get(key))
        if isinstance(found, dict):
            # What is neither text nor a number is made text.
            return {
                name: value
                if isinstance(value, (str, int, float)) and not isinstance(value, bool)
                else json.dumps(value)
                for name, value in found.items()
            }
    prefix = "gen_ai.request."
    return {
        name.removeprefix(prefix): value
        for name, value in attributes.items()
        if name.startswith(prefix) and name != "gen_ai.request.model"
    }


def _usage(attributes: Mapping[str, Any]) -> dict[str, int]:
    exclusive = _parsed(attributes.get(_USAGE))
    if isinstance(exclusive, dict):
        return {name: count for name, count in exclusive.items() if _is_int(count)}
    return {name: count for name, count in _generic_usage(attributes).items() if _is_int(count)}


def _generic_usage(attributes: Mapping[str, Any]) -> dict[str, Any]:
    counts = "llm.token_count."
    found = {
        "input": attributes.get("gen_ai.usage.input_tokens", attributes.get(counts + "prompt")),
        "output": attributes.get(
            "gen_ai.usage.output_tokens", attributes.get(counts + "completion")
        ),
        "total": attributes.get("gen_ai.usage.total_tokens", attributes.get(counts + "total")),
        "input_cached_tokens": attributes.get(counts + "prompt_details.cache_read"),
        "input_cache_creation": attributes.get(counts + "prompt_details.cache_write"),
        "output_reasoning_tokens": attributes.get(counts + "completion_details.reasoning"),
        "prompt_details.audio": attributes.get(counts + "prompt_details.audio"),
    }
    for bucket, parts in (
        ("input", ("input_cached_tokens", "input_cache_creation")),
        ("output", ("output_reasoning_tokens",)),
    ):
        if _is_int(found[bucket]):
            found[bucket] -= sum(found[part] for part in parts if _is_int(found[part]))
    return {name: count for name, count in found.items() if count is not None}


def _cost(attributes: Mapping[str, Any]) -> dict[str, float]:
    exact = _parsed(attributes.get(_COST))
    if isinstance(exact, dict):
        return {name: cost for name, cost in exact.items() if _is_number(cost)}
    total = _first(attributes, _COST_TOTALS)
    return {"total": total} if _is_number(total) else {}


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()


def _metadata(span: Span) -> dict[str, Any]:
    rest = {k: v for k, v in span.attributes.items() if not k.startswith("langfuse.")}
    return {
        "attributes": rest,
        "resourceAttributes": dict(span.resource),
        **_below(span.attributes, _OBSERVATION + "metadata"),
    }


def _environments(span: Span) -> Iterator[Any]:
    for key in _ENVIRONMENTS:
        for attributes in (span.attributes, span.resource):
            if key in attributes:
                yield attributes[key]


def _environment(span: Span) -> str:
    named = str(next(_environments(span), "default")).lower().removeprefix("langfuse")
    return named if re.fullmatch(r"[a-z0-9_-]{1,40}", named) else "default"


def _level(span: Span) -> str:
    level = span.attributes.get(_LEVEL)
    aliases = {"warn": "WARNING", "fatal": "ERROR", "info": "DEFAULT"}
    level = aliases.get(str(level).lower(), str(level).upper())
    if level in LEVELS:
        return level
    return "ERROR" if span.status == "ERROR" else "DEFAULT"


# -- what it drops, hijacks and loses


def violations_of(span: Span) -> list[str]:
    """What of a span Langfuse drops, mistakes or loses without a word."""
    return [rule for check in _CHECKS for rule in check(span)]


def _bad_values(span: Span) -> Iterator[str]:
    everywhere = [("attribute", span.attributes), ("resource attribute", span.resource)]
    everywhere += [(f"event {event.name}: attribute", event.attributes) for event in span.events]
    for where, attributes in everywhere:
        for name, value in attributes.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, bytes):
                    yield f"{where} {name} is bytes"
                elif isinstance(item, float) and not math.isfinite(item):
                    yield f"{where} {name} is {item}"


def _names(span: Span) -> Iterator[str]:
    for name in span.attributes:
        if name in _GENERIC:
            yield f"attribute {name!r} hijacks a field"
        if name.startswith(_LEFTOVERS):
            yield f"attribute {name} is left over"
    renamed = span.attributes.get(_TOOL_NAME)
    if renamed is not None and renamed != span.name:
        yield f"{_TOOL_NAME} renames it to {renamed!r}"


def _typed(span: Span) -> Iterator[str]:
    explicit = span.attributes.get(_TYPE)
    if explicit is None:
        if span.kind and span.kind not in _BY_KIND:
            yield f"the kind {span.kind} is lost: there is no {_TYPE}"
    elif explicit not in TYPES:
        yield f"the type {explicit!r} is ignored"


def _first_token(span: Span) -> Iterator[str]:
    if _FIRST not in span.attributes:
        return
    value = span.attributes[_FIRST]
    moment = _time(value)
    if moment is None:
        yield f"dropped: completion_start_time {value!r} is no time with a zone"
        return
    # Milliseconds are as exact as it is shown.
    at = moment.timestamp() * 1000
    if not span.start_ns // 1_000_000 - 1 <= at <= span.end_ns / 1_000_000 + 1:
        yield f"completion_start_time {value!r} is not while it ran"


def _prompt(span: Span) -> Iterator[str]:
    if _PROMPT not in span.attributes:
        return
    version = span.attributes.get(_PROMPT_VERSION)
    if not _is_int(version):
        yield f"dropped: prompt name without an int version: {version!r}"
    elif _type(span) != "generation":
        yield "the prompt is lost: it is linked on a generation only"


def _status(span: Span) -> Iterator[str]:
    message = span.attributes.get(_MESSAGE)
    if message is not None and not isinstance(message, str):
        yield f"dropped: status_message is no string: {message!r}"
    level = span.attributes.get(_LEVEL)
    if level is not None and level not in LEVELS:
        yield f"the level {level!r} is no level"
    told = any("exception.message" in event.attributes for event in span.events)
    if span.status == "ERROR" and told and not message and not span.status_message:
        yield "the error's message is lost: it is in an event only"


def _usage_rules(span: Span) -> Iterator[str]:
    attributes = span.attributes
    counts: Any = _generic_usage(attributes)
    if _USAGE in attributes:
        counts = _parsed(attributes[_USAGE])
        if not isinstance(counts, dict):
            yield f"usage_details is no JSON object: {attributes[_USAGE]!r}"
            return
    bad = {name: count for name, count in counts.items() if not _is_int(count)}
    for name, count in bad.items():
        yield f"usage {name} is no integer: {count!r}"
    good = {name: count for name, count in counts.items() if name not in bad}
    for name, count in good.items():
        if count < 0:
            yield f"usage {name} is negative: {count}"
    parts = sum(count for name, count in good.items() if name != "total")
    if parts > good.get("total", parts):
        yield f"usage counts twice: the buckets' sum {parts} is over the total {good['total']}"
    if counts and _type(span) not in ("generation", "embedding"):
        yield f"usage stands on a {_type(span)}"
    if (counts or _MODEL in attributes) and attributes.get(_OPERATION) in (
        "invoke_agent",
        "agent_step",
    ):
        yield f"model and usage are ignored with {_OPERATION} {attributes[_OPERATION]}"


def _cost_rules(span: Span) -> Iterator[str]:
    attributes = span.attributes
    costs: Any = {key: attributes[key] for key in _COST_TOTALS if key in attributes}
    if _COST in attributes:
        costs = _parsed(attributes[_COST])
        if not isinstance(costs, dict):
            yield f"cost_details is no JSON object: {attributes[_COST]!r}"
            return
    elif {"llm.cost.prompt", "llm.cost.completion"} & attributes.keys():
        yield "split costs are lost: there is no cost_details"
    for name, cost in costs.items():
        if not _is_number(cost):
            yield f"cost {name} is no number: {cost!r}"


def _identity(span: Span) -> Iterator[str]:
    read = (("session", _SESSIONS), ("user", _USERS), ("trace name", (_TRACE + "name",)))
    values = [(what, _first(span.attributes, keys)) for what, keys in read]
    values = [(what, value) for what, value in values if value is not None]
    values += [("tag", tag) for tag in _tags(_first(span.attributes, _TAGS))]
    for what, value in values:
        if not isinstance(value, str):
            yield f"{what} is no string: {value!r}"
        elif len(value) > _LONGEST:
            yield f"{what} has {len(value)} characters, over {_LONGEST}: {value[:20]}…"
        elif not value.isascii():
            yield f"{what} is not US-ASCII: {value!r}"


def _environment_rule(span: Span) -> Iterator[str]:
    for value in _environments(span):
        if not re.fullmatch(r"(?!langfuse)[a-z0-9_-]{1,40}", str(value)):
            yield f"environment {value!r} is changed, or ignored"
        return


def _lost(span: Span) -> Iterator[str]:
    attributes = span.attributes

    def has(*prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in attributes)

    if has("retrieval.documents.", "reranker.output_documents.") and _OUTPUT not in attributes:
        yield "documents are lost: they are not in the output"
    if has("llm.input_messages.") and _INPUT not in attributes:
        yield "chat roles are lost: the messages are not in the input"
    if has("llm.output_messages.") and _OUTPUT not in attributes:
        yield "tool calls are lost: the messages are not in the output"
    if has("embedding.model_name", "reranker.model_name") and _first(attributes, _MODELS) is None:
        yield f"the model is lost: there is no {_MODEL}"
    if has("embedding.embeddings.") and _INPUT not in attributes:
        yield "embedded texts are lost: they are not in the input"
    if "metadata" in attributes and not has(_OBSERVATION + "metadata", _TRACE + "metadata"):
        yield "metadata stays a text in metadata.attributes"


_CHECKS: tuple[Callable[[Span], Iterable[str]], ...] = (
    _bad_values,
    _names,
    _typed,
    _first_token,
    _prompt,
    _status,
    _usage_rules,
    _cost_rules,
    _identity,
    _environment_rule,
    _lost,
)


def _problems_of_traces(spans: list[Span]) -> Iterator[str]:
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    for trace, members in traces.items():
        ids = {span.span_id for span in members}
        for span in members:
            if span.parent_id and span.parent_id not in ids:
                yield f"{span.name}: its parent {span.parent_id} never came"
        roots = [span.name for span in members if not span.parent_id]
        if len(roots) != 1:
            yield f"trace {trace} has {len(roots)} roots: {roots}"
        for what, keys in (
            ("trace name", (_TRACE + "name",)),
            ("session", _SESSIONS),
            ("user", _USERS),
            ("tags", _TAGS),
        ):
            yield from _not_everywhere(trace, what, keys, members)


def _not_everywhere(
    trace: str, what: str, keys: tuple[str, ...], members: list[Span]
) -> Iterator[str]:
    values = {span.span_id: _first(span.attributes, keys) for span in members}
    said = {repr(value) for value in values.values() if value is not None}
    if len(said) > 1:
        yield f"trace {trace} has {len(said)} values of {what}: {sorted(said)}"
    without = [span.name for span in members if values[span.span_id] is None]
    if said and without:
        yield f"trace {trace}: no {what} on {without}, but on others"


# -- values


def _first(attributes: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((attributes[key] for key in keys if attributes.get(key) is not None), None)


def _below(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    whole = _parsed(attributes.get(name))
    prefix = f"{name}."
    return {
        **(whole if isinstance(whole, dict) else {}),
        **{k.removeprefix(prefix): v for k, v in attributes.items() if k.startswith(prefix)},
    }


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _time(value: Any) -> datetime | None:
    value = _parsed(value)  # Langfuse's own SDK sends it in quotes.
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)
