"""What an LLM backend gets is a whole trace of its own, whatever is around it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from langflow_otel import LangflowInstrumentor, context
from tests.support import flows
from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.select import named
from tests.support.spans import Span

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = f"langflow.parent={TRACE}-{SPAN}"


@pytest.fixture
def phoenix(receiver: OtlpReceiver, environment: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """A receiver that gets AI spans, as Phoenix does."""
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    LangflowInstrumentor().instrument()
    yield receiver
    LangflowInstrumentor().uninstrument()


async def _run_called_with(headers: Mapping[str, str]) -> None:
    token = otel_context.attach(propagate.extract(dict(headers)))
    try:
        await flows.run_flow(flows.sync_method())
    finally:
        otel_context.detach(token)


def _sent(phoenix: OtlpReceiver) -> list[Span]:
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    assert provider.force_flush()
    return phoenix.spans


async def test_a_run_that_another_service_called_is_a_root_with_a_link_to_the_call(
    phoenix: OtlpReceiver,
) -> None:
    await _run_called_with({"traceparent": f"00-{TRACE}-{SPAN}-01"})
    spans = _sent(phoenix)
    check(spans)
    flow = named(spans, "Sync method")
    assert (flow.trace_id, flow.parent_id) == (TRACE, "")
    assert [(link.trace_id, link.span_id) for link in flow.links] == [(TRACE, SPAN)]
    assert not any(span.links for span in spans if span is not flow)


async def test_a_run_that_another_langflow_called_hangs_on_what_called_it(
    phoenix: OtlpReceiver,
) -> None:
    client = secrets.token_hex(8)
    headers = {"traceparent": f"00-{TRACE}-{client}-01", "baggage": CALLER}
    await _run_called_with(headers)
    flow = named(_sent(phoenix), "Sync method")
    assert (flow.trace_id, flow.parent_id, flow.links) == (TRACE, SPAN, ())


async def test_a_run_hangs_on_a_caller_that_is_its_direct_parent(phoenix: OtlpReceiver) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "baggage": CALLER}
    await _run_called_with(headers)
    assert named(_sent(phoenix), "Sync method").parent_id == SPAN


@pytest.mark.parametrize(
    "said",
    [
        f"{'f' * 32}-{SPAN}",
        f"{TRACE}-{'0' * 16}",
        f"{TRACE}-",
        "x",
        f"{TRACE}-{SPAN}-",
        f"{TRACE}-{SPAN}-%00",
        "%00",
    ],
)
async def test_baggage_that_is_not_of_this_trace_is_no_parent(
    phoenix: OtlpReceiver, said: str
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "baggage": f"langflow.parent={said}"}
    await _run_called_with(headers)
    flow = named(_sent(phoenix), "Sync method")
    assert (flow.parent_id, len(flow.links)) == ("", 1)


async def test_what_a_component_calls_is_told_which_span_of_ours_called_it(
    phoenix: OtlpReceiver,
) -> None:
    """Between the two there is a client's span, which an LLM backend does not get."""
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    provider = LangflowInstrumentor().tracer_provider
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        with OtlpReceiver() as called:
            await flows.run_flow(flows.http_request(f"{called.endpoint}/hello"))
            (attempt,) = called.attempts
    finally:
        HTTPXClientInstrumentor().uninstrument()
    component = named(_sent(phoenix), "Fetch")
    told = f"langflow.parent={component.trace_id}-{component.span_id}"
    assert attempt.headers["baggage"] == told
    assert attempt.headers["traceparent"].split("-")[2] != component.span_id


def test_a_span_with_more_attributes_than_allowed_keeps_its_place_and_stays_hidden(
    receiver: OtlpReceiver,
) -> None:
    """A provider that is not ours allows 128, and drops the first: those that are set at start."""
    from langflow_otel.export.destination import DestinationSpanExporter
    from langflow_otel.export.http import otlp_sender
    from langflow_otel.settings import Settings

    provider = TracerProvider()
    exporter = DestinationSpanExporter(
        "here", otlp_sender(receiver.traces_endpoint, {}), settings=Settings()
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    LangflowInstrumentor().instrument(tracer_provider=provider)
    try:
        hidden = context.inside(provider.get_tracer("langflow_otel").start_span("a"), hidden=True)
        client = provider.get_tracer("http").start_span("GET", context=hidden)
        model = provider.get_tracer("openinference.instrumentation.langchain").start_span(
            "model", context=trace.set_span_in_context(client, hidden)
        )
        for number in range(200):
            model.set_attribute(f"llm.input_messages.{number}.message.content", "a secret")
        model.end()
    finally:
        LangflowInstrumentor().uninstrument()
    (span,) = receiver.spans
    assert "a secret" not in repr(span)
    assert span.parent_id == trace.format_span_id(context.ai_parent(hidden).context.span_id)


async def test_what_is_set_around_a_run_is_on_every_span_of_it(phoenix: OtlpReceiver) -> None:
    instrumentation = pytest.importorskip("openinference.instrumentation")
    with instrumentation.using_attributes(
        user_id="u1", tags=["a", "b"], metadata={"tenant": "acme"}
    ):
        await flows.run_flow(flows.linear_chat())
    for span in _sent(phoenix):
        said = span.attributes
        assert said["user.id"] == "u1", span.name
        assert list(said["tag.tags"]) == ["a", "b"], span.name
        assert "acme" in said["metadata"], span.name
        assert said["langflow.trace.name"] == "Linear chat", span.name
