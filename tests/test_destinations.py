"""Which destinations are on, what each of them gets, and what is said where something is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import entry_points
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel import LangflowInstrumentor
from langflow_otel.destinations import DESTINATIONS, destinations_of
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.phoenix import PhoenixSpanExporter
from tests.support import flows
from tests.support.receiver import OtlpReceiver
from tests.support.vendors import VENDORS, Vendor

QUESTION, ANSWER = "a question of content", "an answer of content"
SPANS = 8


@pytest.fixture
def instrument() -> Iterator[Any]:
    yield LangflowInstrumentor().instrument
    LangflowInstrumentor().uninstrument()


@pytest.fixture
def started(environment: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start vendors by name, with the variables that select them: a call of `started(name, …)`."""
    with ExitStack() as stack:

        def start(*names: str) -> list[Any]:
            receivers = [stack.enter_context(VENDORS[name].start()) for name in names]
            for name, receiver in zip(names, receivers, strict=True):
                for variable, value in VENDORS[name].environment(receiver).items():
                    environment.setenv(variable, value)
            return receivers

        yield start


async def _run() -> None:
    await flows.run_flow(flows.linear_chat(ANSWER), QUESTION)
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    assert provider.force_flush()


def _all_that_arrived(vendor: Vendor, receiver: Any) -> str:
    return repr(receiver.runs if vendor.name == "langsmith" else receiver.spans)


# -- which are on


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PHOENIX_API_KEY": "k"}, ["phoenix"]),
        (
            {"LANGFUSE_PUBLIC_KEY": "p", "LANGFUSE_SECRET_KEY": "s", "LANGFUSE_HOST": "h"},
            ["langfuse"],
        ),
        (
            {"LANGFUSE_PUBLIC_KEY": "p", "LANGFUSE_SECRET_KEY": "s", "LANGFUSE_BASE_URL": "h"},
            ["langfuse"],
        ),
        ({"LANGCHAIN_API_KEY": "k"}, ["langsmith"]),
        ({"LANGSMITH_API_KEY": "k"}, []),
        ({"LANGSMITH_API_KEY": "k", "LANGSMITH_TRACING": "true"}, ["langsmith"]),
        ({"LANGSMITH_API_KEY": "k", "LANGSMITH_TRACING": "false"}, []),
        ({"ARIZE_API_KEY": "k", "ARIZE_SPACE_ID": "s"}, ["arize"]),
        ({"LANGWATCH_API_KEY": "k"}, ["langwatch"]),
        ({"OPIK_API_KEY": "k"}, ["opik"]),
        ({"OPIK_URL_OVERRIDE": "http://o"}, ["opik"]),
        ({"TRACELOOP_API_KEY": "k"}, ["traceloop"]),
        ({"OPENLAYER_API_KEY": "k", "OPENLAYER_INFERENCE_PIPELINE_ID": "i"}, ["openlayer"]),
        ({"OPENLAYER_API_KEY": "k", "OPENLAYER_PIPELINE_SHOP": "i"}, ["openlayer"]),
        ({"OPENLAYER_API_KEY": "k", "OTEL_EXPORTER_OTLP_ENDPOINT": "e"}, ["otlp"]),
        ({"LANGCHAIN_API_KEY": "k", "OTEL_TRACES_EXPORTER": "phoenix"}, ["phoenix"]),
        ({"LANGCHAIN_API_KEY": " ", "LANGFUSE_HOST": "h"}, []),
    ],
)
def test_a_destination_is_on_where_langflows_own_tracer_would_be(
    environ: Mapping[str, str], expected: list[str]
) -> None:
    assert destinations_of(environ) == expected


@pytest.mark.parametrize("name", [n for n in DESTINATIONS if n != "otlp"])
def test_each_is_an_exporter_of_opentelemetrys_that_needs_no_arguments(name: str) -> None:
    (found,) = entry_points(group="opentelemetry_traces_exporter", name=name)
    exporter = found.load()()
    assert isinstance(exporter, DestinationSpanExporter)
    assert exporter.name == name.removeprefix("langflow_")
    exporter.shutdown()


# -- what each gets


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=str)
@pytest.mark.parametrize("policy", ["full", "none", "FULL", "noen"])
async def test_content_goes_where_the_policy_of_a_destination_lets_it(
    vendor: Vendor, policy: str, started: Any, instrument: Any, environment: pytest.MonkeyPatch
) -> None:
    witness = "phoenix" if vendor.name != "phoenix" else "langfuse"
    environment.setenv("OTEL_TRACES_EXPORTER", f"{vendor.name},{witness}")
    environment.setenv(f"OTEL_PYTHON_LANGFLOW_CONTENT_{vendor.name.upper()}", policy)
    here, there = started(vendor.name, witness)
    instrument()
    await _run()
    arrived = _all_that_arrived(vendor, here)
    assert (QUESTION in arrived, ANSWER in arrived) == ((policy.lower() == "full"),) * 2
    assert len(vendor.names(here)) == SPANS
    assert QUESTION in _all_that_arrived(VENDORS[witness], there)


async def test_without_a_policy_llm_destinations_get_content_and_the_plain_endpoint_does_not(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_TRACES_EXPORTER", ",".join(VENDORS))
    receivers = dict(zip(VENDORS, started(*VENDORS), strict=True))
    instrument()
    await _run()
    assert {
        name: QUESTION in _all_that_arrived(VENDORS[name], receiver)
        for name, receiver in receivers.items()
    } == {"otlp": False, "phoenix": True, "langfuse": True, "langsmith": True}
    assert [line for line in said(logging.INFO) if "traces go to" in line] == [
        "langflow-otel: traces go to otlp, without content",
        "langflow-otel: traces go to phoenix, with content",
        "langflow-otel: traces go to langfuse, with content",
        "langflow-otel: traces go to langsmith, with content",
    ]


async def test_where_nothing_is_captured_no_policy_brings_it_back(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "false")
    environment.setenv("OTEL_PYTHON_LANGFLOW_CONTENT_PHOENIX", "full")
    (receiver,) = started("phoenix")
    instrument()
    await _run()
    assert QUESTION not in repr(receiver.spans)
    assert said(logging.WARNING) == [
        "langflow-otel: OTEL_PYTHON_LANGFLOW_CONTENT_<DESTINATION>=full has no effect: nothing is "
        "captured"
    ]


async def test_the_plain_endpoint_alone_gets_content_where_its_policy_says_so(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CONTENT_OTLP", "full")
    (receiver,) = started("otlp")
    instrument()
    await _run()
    assert QUESTION in repr(receiver.spans)


# -- in code


class _Theirs(SpanExporter):
    """An exporter of somebody else's."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.closed = True


async def test_destinations_are_named_in_code_and_then_nothing_else_counts(
    started: Any, instrument: Any
) -> None:
    phoenix, plain = started("phoenix", "otlp")
    instrument(destinations=["phoenix"])
    await _run()
    assert (len(phoenix.spans), len(plain.spans)) == (SPANS, 0)


async def test_an_exporter_is_given_in_code(receiver: OtlpReceiver, instrument: Any) -> None:
    theirs = _Theirs()
    ours = PhoenixSpanExporter(endpoint=receiver.endpoint, content=False)
    instrument(destinations=[ours, theirs], capture_content=True)
    await _run()
    assert len(receiver.spans) == len(theirs.spans) == SPANS
    assert QUESTION not in repr(receiver.spans)
    assert any(QUESTION in str(span.attributes) for span in theirs.spans)
    assert set(LangflowInstrumentor().statistics()) == {"phoenix", "_Theirs"}
    LangflowInstrumentor().uninstrument()
    assert theirs.closed


async def test_two_exporters_of_one_kind_have_accounts_of_their_own(instrument: Any) -> None:
    with OtlpReceiver() as one, OtlpReceiver() as two:
        instrument(destinations=[PhoenixSpanExporter(each.endpoint) for each in (one, two)])
        await _run()
        assert len(one.spans) == len(two.spans) == SPANS
    told = LangflowInstrumentor().statistics()
    assert {name: each.exported for name, each in told.items()} == {
        "phoenix": SPANS,
        "phoenix-2": SPANS,
    }


async def test_destinations_are_added_to_a_provider_that_is_given(
    started: Any, instrument: Any
) -> None:
    (receiver,) = started("phoenix")
    provider, theirs = TracerProvider(), InMemorySpanExporter()
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider.add_span_processor(SimpleSpanProcessor(theirs))
    instrument(tracer_provider=provider, destinations=["phoenix"], capture_content=True)
    await _run()
    assert len(receiver.spans) == SPANS
    assert len(theirs.get_finished_spans()) >= SPANS
    provider.shutdown()


@pytest.mark.parametrize("wrong", [7, ["phoenix", 7], {"phoenix": None, 7: 7}, object()])
async def test_what_is_no_list_of_destinations_is_named_and_the_environment_counts(
    wrong: Any, started: Any, instrument: Any, said: Any
) -> None:
    (receiver,) = started("phoenix")
    instrument(destinations=wrong)
    await _run()
    assert len(receiver.spans) == SPANS
    (line,) = said(logging.WARNING)
    assert "instrument(destinations=…)" in line
    assert "using what the environment says" in line


# -- what is wrong


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"LANGFUSE_PUBLIC_KEY": "p", "LANGFUSE_HOST": "h"},
            "langfuse is off: LANGFUSE_SECRET_KEY not set",
        ),
        (
            {"LANGFUSE_PUBLIC_KEY": "p", "LANGFUSE_SECRET_KEY": "s3cret"},
            "langfuse is off: LANGFUSE_BASE_URL or LANGFUSE_HOST not set",
        ),
        ({"ARIZE_API_KEY": "s3cret"}, "arize is off: ARIZE_SPACE_ID not set"),
        (
            {"OPENLAYER_API_KEY": "s3cret"},
            "openlayer is off: OPENLAYER_INFERENCE_PIPELINE_ID or OPENLAYER_LANGFLOW_MAPPING or "
            "OPENLAYER_PIPELINE_* not set",
        ),
    ],
)
def test_credentials_of_which_half_is_set_are_named(
    environ: Mapping[str, str], line: str, said: Any
) -> None:
    assert destinations_of(environ) == []
    (told,) = said(logging.WARNING)
    assert line in told
    assert "s3cret" not in told


@pytest.mark.parametrize(
    ("name", "environ", "line"),
    [
        ("phoenix", {"PHOENIX_COLLECTOR_ENDPOINT": "ftp://p"}, "PHOENIX_COLLECTOR_ENDPOINT="),
        (
            "langfuse",
            {
                "LANGFUSE_HOST": "ftp://u:s3cret@p",
                "LANGFUSE_PUBLIC_KEY": "p",
                "LANGFUSE_SECRET_KEY": "s3cret",
            },
            "LANGFUSE_HOST=",
        ),
        ("langfuse", {"LANGFUSE_PUBLIC_KEY": "p"}, "LANGFUSE_SECRET_KEY"),
        (
            "langsmith",
            {"LANGSMITH_ENDPOINT": "ftp://p", "LANGSMITH_API_KEY": "s3cret"},
            "LANGSMITH_ENDPOINT=",
        ),
        ("langsmith", {}, "LANGSMITH_API_KEY"),
        ("opik", {"OPIK_URL_OVERRIDE": "http://[", "OPIK_API_KEY": "k"}, "OPIK_URL_OVERRIDE="),
        ("arize", {"ARIZE_API_KEY": "k"}, "ARIZE_SPACE_ID"),
    ],
)
async def test_a_destination_that_is_set_up_wrongly_is_named_and_the_others_work(
    name: str,
    environ: Mapping[str, str],
    line: str,
    started: Any,
    instrument: Any,
    environment: pytest.MonkeyPatch,
    said: Any,
) -> None:
    (witness,) = started("otlp")
    environment.setenv("OTEL_TRACES_EXPORTER", f"{name},otlp")
    for variable, value in environ.items():
        environment.setenv(variable, value)
    instrument()
    await _run()
    assert len(witness.spans) == SPANS
    told = [each for each in said(logging.WARNING) if line in each]
    assert len(told) == 1
    assert "s3cret" not in "".join(said())
    assert LangflowInstrumentor().statistics()[name].dropped["failed"] >= 1


def test_a_content_policy_with_a_typo_is_named_and_means_none(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CONTENT_PHOENIX", "ful")
    started("phoenix")
    instrument()
    assert said(logging.WARNING) == [
        "langflow-otel: OTEL_PYTHON_LANGFLOW_CONTENT_PHOENIX='ful' is not allowed (allowed: full, "
        "none); using none"
    ]


def test_a_misspelt_variable_is_named(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTNET", "none")
    environment.setenv("OTEL_PYTHON_LANGFLOW_SPEED", "high")
    started("phoenix")
    instrument()
    assert said(logging.WARNING) == [
        "langflow-otel: there is no variable OTEL_PYTHON_LANGFLOW_CAPTURE_CONTNET; did you mean "
        "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT? it is ignored",
        "langflow-otel: there is no variable OTEL_PYTHON_LANGFLOW_SPEED; it is ignored",
    ]


def test_a_content_policy_for_a_destination_that_is_none_is_named(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CONTENT_PHEONIX", "none")
    started("phoenix")
    instrument()
    (line,) = said(logging.WARNING)
    assert "OTEL_PYTHON_LANGFLOW_CONTENT_PHEONIX is for no destination" in line
    assert "phoenix" in line


def test_a_dialect_that_is_none_is_named(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_DIALECT", "openllmetry")
    started("phoenix")
    instrument()
    assert said(logging.WARNING) == [
        "langflow-otel: OTEL_PYTHON_LANGFLOW_DIALECT='openllmetry' is not allowed (allowed: "
        "openinference, genai, both); using the default"
    ]


def test_an_extra_that_is_missing_is_named_with_what_installs_it(
    started: Any, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    import sys

    started("phoenix")
    environment.setenv("OTEL_TRACES_EXPORTER", "langsmith,phoenix")
    environment.setenv("LANGSMITH_API_KEY", "k")
    environment.setitem(sys.modules, "langsmith", None)
    instrument()
    (line,) = [each for each in said(logging.WARNING) if "langsmith" in each]
    assert "pip install 'langflow-otel[langsmith]'" in line
    assert "phoenix" in LangflowInstrumentor().statistics()
