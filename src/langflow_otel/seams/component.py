"""The component seam: `Graph.build_vertex`, which runs one component in one task."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from langflow_otel import names
from langflow_otel.capture import MASK
from langflow_otel.capture.classes import class_names
from langflow_otel.capture.types import carries_stream
from langflow_otel.context import current_component, current_tool
from langflow_otel.guard import safely
from langflow_otel.model_calls import OPENINFERENCE_LANGCHAIN
from langflow_otel.patterns import NamePatterns
from langflow_otel.seams.embedding import EmbeddingSeam
from langflow_otel.seams.fields import inputs_of
from langflow_otel.seams.langchain_runs import abandon
from langflow_otel.seams.langflow import (
    component_of,
    failure_of,
    fields_fed_by,
    kind_of_component,
    model_of,
    outputs_of,
)
from langflow_otel.seams.pauses import has_paused
from langflow_otel.seams.secrets import gather, gather_all
from langflow_otel.seams.streams import hold
from langflow_otel.seams.tool import provide
from langflow_otel.seams.usage import usage_of
from langflow_otel.spans import ActiveSpan, ComponentSpan, LangflowTracer, Model

# Of LangChain's objects: models, tools, chains, agents and retrievers are Runnables.
_CALLED_LATER = frozenset({"Runnable", "Embeddings", "VectorStore"})
_ANSWERS = frozenset({"str", "Message", "Data", "JSON"})


class ComponentSeam:
    """The wrappers around a component's run and its inputs."""

    def __init__(self, tracer: LangflowTracer, embedding: EmbeddingSeam) -> None:
        """Start spans with `tracer`; tell `embedding` of what comes out."""
        self._tracer = tracer
        self._embedding = embedding

    async def build_vertex(
        self,
        wrapped: Callable[..., Any],
        graph: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Run a component inside its span."""
        vertex_id = args[0] if args else kwargs.get("vertex_id")
        span = safely(self._begin, graph, vertex_id)
        if span is None:
            return await wrapped(*args, **kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            safely(_failed, span, error)
            raise
        else:
            outputs = safely(_outputs_of, span, result)
            if outputs is not None:
                safely(_finished, span, result.vertex, outputs)
                safely(self._hand_on, span, outputs)
            return result
        finally:
            safely(span.release)

    async def inputs(
        self,
        wrapped: Callable[..., Any],
        component: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Capture what the component runs with, once its variables are resolved.

        What it gives out unread is not its end.
        """
        safely(_record_inputs, component, self._tracer.hidden)
        built = await wrapped(*args, **kwargs)
        safely(_hold_streams, component, built)
        return built

    @staticmethod
    def log(
        wrapped: Callable[..., Any],
        component: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Record a line when the component logs it."""
        result = wrapped(*args, **kwargs)
        safely(_record_log, component)
        return result

    def _begin(self, graph: Any, vertex_id: Any) -> ComponentSpan | None:
        here = otel_context.get_current()
        if not (is_instrumentation_enabled() and self._tracer.samples_here(here)):
            return None
        vertex = graph.get_vertex(vertex_id)
        told = component_of(graph, vertex, here, self._tracer.hidden)
        span = self._tracer.component(told, here)
        secrets = span.capture.secrets
        if secrets.wanted:
            safely(gather_all, graph, secrets)
        span.on_abandon = abandon
        span.attach()
        return span

    def _hand_on(self, span: ComponentSpan, outputs: Mapping[str, Any]) -> None:
        """Remember what comes out that is called by others later: tools, embedding models."""
        provide(span.component, outputs.values())
        self._embedding.watch(outputs.values())


def _span_of(component: Any) -> ComponentSpan | None:
    """Return the recording span of `component`, not of one that runs it inside itself."""
    span = current_component()
    own = span is not None and span.recording and vars(component).get("_id") == span.component.id
    return span if own else None


def _record_inputs(component: Any, hidden: NamePatterns) -> None:
    span = _span_of(component)
    if span is None:
        return
    if span.capture.secrets.wanted:
        gather(component, span.capture.secrets)
    kind = kind_of_component(component)
    if kind != span.component.kind:
        # A component of a graph is made only when it runs.
        span.set_kind(kind)
    if span.content.inputs:
        fed = fields_fed_by(component, hidden) if hidden else ()
        inputs = inputs_of(component)
        span.record_inputs({**inputs, **dict.fromkeys(fed, MASK)} if fed else inputs)


def _hold_streams(component: Any, built: Any) -> None:
    span = _span_of(component)
    if span is not None:
        hold(span, component, built[0])


def _record_log(component: Any) -> None:
    span: ActiveSpan | None = _span_of(component)
    if span is None:
        tool = current_tool()
        span = tool if tool is not None and tool.component_id == component._id else None
    if span is None:
        return
    log = component._logs[-1]
    if not _repeats_a_span(log.message):
        span.record_log(log.name, log.type, log.message)


def _repeats_a_span(message: Any) -> bool:
    """Tell whether a log line is LangChain's callback, which an agent logs each of."""
    return isinstance(message, Mapping) and "run_id" in message and _langchain_is_traced()


def _failed(span: ComponentSpan, error: BaseException) -> None:
    span.detach()
    span.fail(failure_of(error, abandoned=span.abandoned))


def _outputs_of(span: ComponentSpan, result: Any) -> Mapping[str, Any] | None:
    if not span.recording:
        return None
    if getattr(result.result_dict, "used_frozen_result", False):
        span.mark_cached()
    return outputs_of(result.vertex, cached=span.cached)


def _finished(span: ComponentSpan, vertex: Any, outputs: Mapping[str, Any]) -> None:
    if has_paused(vertex):
        # What it puts out stands for what it will put out once it goes on.
        span.pause()
        outputs = {}
    else:
        answered = not span.cached and _answered(outputs.values())
        span.record_outputs(outputs, answered=answered)
    component = vertex.custom_component
    if component is not None and not span.cached:
        hands_on = _only_hands_on(outputs)
        kind = names.KIND_CHAIN if hands_on else kind_of_component(component)
        if kind != span.component.kind:
            span.set_kind(kind)
        _record_model(span, component, kind, _told_by(span, component))


def _only_hands_on(outputs: Mapping[str, Any]) -> bool:
    """Tell whether all that came out is called by others: then no agent ran here, none searched."""
    for output in outputs.values():
        first = output[0] if type(output) is list and output else output
        if _CALLED_LATER.isdisjoint(class_names(type(first))):
            return False
    return bool(outputs)


def _told_by(span: ComponentSpan, component: Any) -> Model | None:
    """Return what the component tells of a call of its own.

    What ends a flow tells of all the calls before it, the answer of a flow of all those in it.
    """
    told = usage_of(component)
    return None if span.component.is_output or span.ran_flow else told


def _record_model(span: ComponentSpan, component: Any, kind: str, told: Model | None) -> None:
    usage = vars(component).get("_token_usage") or told
    if usage is None and kind != names.KIND_LLM and not span.streams:
        return
    model, provider = model_of(component)
    if model is None and told is not None and told.name:
        model = span.capture.text(told.name).text
    span.record_model(
        Model(
            name=model,
            provider=provider,
            input_tokens=getattr(usage, "input_tokens", None),
            output_tokens=getattr(usage, "output_tokens", None),
            total_tokens=getattr(usage, "total_tokens", None),
        )
    )


def _answered(outputs: Iterable[Any]) -> bool:
    """Tell whether a model answered here: a stream is answered when it is read."""
    for output in outputs:
        if not (_ANSWERS.isdisjoint(class_names(type(output))) or carries_stream(output)):
            return True
    return False


def _langchain_is_traced() -> bool:
    module = sys.modules.get(OPENINFERENCE_LANGCHAIN)
    return module is not None and module.LangChainInstrumentor().is_instrumented_by_opentelemetry
