"""What the spans tell of model calls against what the model's server knows of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.support.openai_wire import Call
from tests.support.spans import Span
from tests.support.tree import label

_PROMPT, _COMPLETION = "llm.token_count.prompt", "llm.token_count.completion"
_TOTAL = "llm.token_count.total"
_CACHED = "llm.token_count.prompt_details.cache_read"
_REASONING = "llm.token_count.completion_details.reasoning"
_SUMS = (
    ("input_tokens", _PROMPT),
    ("output_tokens", _COMPLETION),
    ("total_tokens", _TOTAL),
    ("cached_tokens", _CACHED),
    ("reasoning_tokens", _REASONING),
)
_PARAMETERS = "llm.invocation_parameters"
# What a model is asked to be like, by OpenAI's names.
_SETTINGS = (
    "temperature", "top_p", "seed", "stop", "max_tokens", "max_completion_tokens",
    "max_output_tokens", "presence_penalty", "frequency_penalty", "reasoning_effort", "stream",
)  # fmt: skip
_MODEL = {"LLM": "llm.model_name", "EMBEDDING": "embedding.model_name"}


def problems(spans: Sequence[Span], calls: Iterable[Call]) -> Iterator[str]:
    """Where it is not so that each call has one span, which says what was said and what it cost.

    A call that failed, or was cut off, may have a span that tells of an error; the client may as
    well have tried again, unseen. Tokens stand on the model's span, nowhere else, and as a sum on
    the span of the flow.
    """
    by_kind = {kind: [s for s in spans if _counts(s, kind)] for kind in _MODEL}
    made = [call for call in calls if call.answer.status == 200 and call.ended_ns]
    failed = [call for call in calls if call not in made]
    for kind, found in by_kind.items():
        wanted = [call for call in made if (call.kind == "embeddings") == (kind == "EMBEDDING")]
        ended_well = [span for span in found if span.status != "ERROR"]
        if len(wanted) != len(ended_well):
            yield f"{len(ended_well)} {kind} spans, but {len(wanted)} calls"
        if len(found) - len(ended_well) > len(failed):
            yield f"{len(found) - len(ended_well)} {kind} spans failed, but {len(failed)} calls"
        yield from _unmatched(wanted, ended_well)
    for span in spans:
        if span.kind not in _MODEL and any(
            key.startswith("llm.token_count") for key in span.attributes
        ):
            yield f"{label(span)} counts tokens, and is no model call"
    yield from _contexts(made, spans)
    yield from _totals(spans)


def _counts(span: Span, kind: str) -> bool:
    """Whether it is of that kind, and not what another instrumentor says of the same call."""
    return span.kind == kind and not span.attributes.get("langflow.model.repeated")


def _unmatched(calls: list[Call], spans: list[Span]) -> Iterator[str]:
    """Match them one to one; say of each call that is left why each span that is left is not it."""
    fits = [[at for at, s in enumerate(spans) if not _differences(call, s)] for call in calls]
    of_span: dict[int, int] = {}

    def place(call: int, tried: set[int]) -> bool:
        for span in fits[call]:
            if span not in tried:
                tried.add(span)
                if span not in of_span or place(of_span[span], tried):
                    of_span[span] = call
                    return True
        return False

    left = [call for at, call in enumerate(calls) if not place(at, set())]
    free = [span for at, span in enumerate(spans) if at not in of_span]
    for call in left:
        reasons = [f"{label(span)}: {'; '.join(_differences(call, span))}" for span in free]
        yield f"no span for the call of {call.model} ({_words(call)}); {' | '.join(reasons)}"


def _words(call: Call) -> str:
    made = [f"{c.name}()" for c in call.answer.tool_calls]
    return repr(call.answer.text[:60]) if not made else ", ".join(made)


def _differences(call: Call, span: Span) -> list[str]:
    """How the span does not tell of this call."""
    return list(_embedded(call, span) if call.kind == "embeddings" else _said(call, span))


def _embedded(call: Call, span: Span) -> Iterator[str]:
    yield from _common(call, span)
    texts = _listed(span.attributes, "embedding.embeddings", "embedding.text")
    if texts and texts != list(call.texts):
        yield f"texts {texts} != {list(call.texts)}"


def _said(call: Call, span: Span) -> Iterator[str]:
    yield from _common(call, span)
    attributes, usage = span.attributes, call.usage
    told = {
        _PROMPT: usage.prompt,
        _COMPLETION: usage.completion,
        _TOTAL: usage.total,
        _CACHED: usage.cached,
        _REASONING: usage.reasoning,
    }
    for key, wanted in told.items():
        # A detail that is nothing may be left out.
        found = attributes.get(key, 0)
        if found != (wanted if call.usage_told else 0):
            yield f"{key} {found} != {wanted if call.usage_told else 'none'}"
    if "output.value" not in attributes:
        return
    for name, asked, said in _settings(call, attributes):
        if asked != said:
            yield f"{name} {said!r} != {asked!r}"
    texts = _listed(attributes, "llm.input_messages", "message.content")
    known = [text for text in call.texts if text]
    if texts != known:
        yield f"messages {texts!r:.200} != {known!r:.200}"
    said = "".join(_listed(attributes, "llm.output_messages", "message.content"))
    if said != call.answer.text:
        yield f"answer {said!r:.80} != {call.answer.text!r:.80}"
    calls = "llm.output_messages.0.message.tool_calls"
    names = _listed(attributes, calls, "tool_call.function.name")
    if names != [made.name for made in call.answer.tool_calls]:
        yield f"tool calls {names}"


def _settings(call: Call, attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each setting as it was asked for and as it is told; None where it is not."""
    told = attributes.get(_PARAMETERS) or "{}"
    parameters = json.loads(told) if isinstance(told, str) else told
    for name in _SETTINGS:
        yield name, call.body.get(name), parameters.get(name)


def _common(call: Call, span: Span) -> Iterator[str]:
    model = span.attributes.get(_MODEL[span.kind])
    if model not in (call.model, call.body["model"]):
        yield f"model {model!r}"
    # The clock is the same; the answer may be read before the server notes that it has sent it.
    if not span.start_ns <= call.started_ns <= span.end_ns:
        yield "at another time"


def _listed(attributes: Mapping[str, Any], prefix: str, name: str) -> list[str]:
    """The values of `<prefix>.<number>.<name>`, in order."""
    found = {
        int(key.removeprefix(f"{prefix}.").partition(".")[0]): str(value)
        for key, value in attributes.items()
        if key.startswith(f"{prefix}.") and key.endswith(f".{name}")
    }
    return [found[at] for at in sorted(found) if found[at]]


def _contexts(calls: list[Call], spans: Sequence[Span]) -> Iterator[str]:
    """A context that went out with a call is one of these spans'."""
    ids = {(span.trace_id, span.span_id) for span in spans}
    for call in calls:
        sent = call.headers.get("traceparent")
        if sent and tuple(sent.split("-")[1:3]) not in ids:
            yield f"the call of {call.model} carried {sent}, which is none of the spans"


def _totals(spans: Sequence[Span]) -> Iterator[str]:
    """What a flow says was used is what the model spans below it say."""
    by_id = {span.span_id: span for span in spans}
    for flow in spans:
        if "langflow.flow.status" not in flow.attributes:
            continue
        below = [s for s in spans if _counts(s, "LLM") and flow in _above(s, by_id)]
        wanted = {name: sum(s.attributes.get(key, 0) for s in below) for name, key in _SUMS}
        wanted["model_calls"] = len(below)
        for name, sum_ in wanted.items():
            found = flow.attributes.get(f"langflow.usage.{name}", 0)
            if found != sum_:
                yield f"{label(flow)}: langflow.usage.{name} is {found}, not {sum_}"


def _above(span: Span, by_id: Mapping[str, Span]) -> list[Span]:
    above: list[Span] = []
    next_ = by_id.get(span.parent_id)
    while next_ is not None and next_ not in above:
        above.append(next_)
        next_ = by_id.get(next_.parent_id)
    return above
