"""The span of one run of a component."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, Status, StatusCode, Tracer

from langflow_otel import context as run_context
from langflow_otel import names, run_metrics
from langflow_otel.capture import Capture, Captured, Content
from langflow_otel.guard import safely
from langflow_otel.spans.active import ActiveSpan, Failure
from langflow_otel.spans.documents import document_attributes
from langflow_otel.spans.model import Model
from langflow_otel.spans.stream import StreamedOutput, how_far_read, tell_first_token
from langflow_otel.spans.told import Component

# An agent's place among agents, in LangSmith's words.
_ROOT, _BELOW_ANOTHER = "root", "subagent"


class ComponentSpan(ActiveSpan):
    """The span of one run of a component."""

    status_attribute = names.COMPONENT_STATUS

    def __init__(
        self,
        span: Span,
        capture: Capture,
        content: Content,
        component: Component,
        tracer: Tracer | None = None,
    ) -> None:
        """Take charge of the started span of `component`, which `tracer` has started.

        Without a tracer there are no spans below it that tell of its model calls.
        """
        super().__init__(span, capture, content)
        self.component = component
        #: Whether content is never captured here: the component is one of those, or is below one.
        self.hidden = component.hidden or run_context.is_hidden(self.context)
        self._above = run_context.current_component(self.context)
        self.model_was_called = False
        #: Whether it has run a flow.
        self.ran_flow = False
        #: How often the body of the loop that this component is has been run.
        self.iterations = 0
        self.cached = False
        #: Spans of other instrumentors below this one that are under way, by their id.
        self.below: dict[int, Span] = {}
        self.on_end: Callable[[ComponentSpan], None] | None = None
        #: Called with what is under way below where the component does not come to its end, and
        #: when that was over, if it was before.
        self.on_abandon: Callable[[list[Span], int | None], None] | None = None
        self._kind = component.kind
        self._answered = False
        self._tracer = tracer
        self._model: Model | None = None
        self._streams: list[StreamedOutput] = []
        self._outputs: dict[str, Captured | None] | None = None
        self._released = 0
        # What goes wrong in a tool is the agent's business: it may well go on.
        self._flow = None if component.is_tool else run_context.current_flow(self.context)
        self.context = self._inside()

    def _inside(self) -> Context:
        """Return the context of what runs in the component."""
        told = self.component
        return run_context.inside(
            self.span,
            component=self,
            session_id=told.session_id,
            user_id=told.user_id,
            hidden=told.hidden,
            loop=told.iteration,
        )

    def mark_cached(self) -> None:
        """Say that the component did not run: its frozen result was used."""
        self.cached = True
        self.span.set_attribute(names.COMPONENT_CACHED, value=True)

    @property
    def is_agent(self) -> bool:
        """Whether the component is an agent."""
        return self._kind == names.KIND_AGENT

    def set_kind(self, kind: str) -> None:
        """Correct the kind, where the component became known only when it ran."""
        self._kind = kind
        self.span.set_attribute(names.SPAN_KIND, kind)

    def _tell_agent(self) -> None:
        above = self._above
        while above is not None and not above.is_agent:
            above = above._above
        role = _ROOT if above is None else _BELOW_ANOTHER
        told = {names.AGENT_NAME: self.component.display_name, names.AGENT_TYPE: role}
        self.span.set_attributes(told)

    def record_inputs(self, inputs: dict[str, Any]) -> None:
        """Capture the inputs the component runs with."""
        if inputs and self.content.inputs:
            self.keep_input(self._measured(self.capture.json, inputs))

    def record_outputs(self, outputs: Mapping[str, Any], *, answered: bool) -> None:
        """Capture what came out; `answered` says that a model's answer is among it.

        What is still a stream is captured when that has ended.
        """
        self._answered = self._answered or answered
        # What comes out where a flow begins is what the flow was given.
        given = self.component.is_input
        if not outputs or not (self.content.outputs or (given and self.content.inputs)):
            return
        if self._streams:
            streamed = {stream.name for stream in self._streams}
            self._outputs = {
                name: None if name in streamed else self.capture.value(value)
                for name, value in outputs.items()
            }
            return
        captured, shown = self._captured(outputs), self.shows_outputs()
        if shown:
            self.keep_output(captured)
        self._note_output(captured)
        documents = document_attributes(self._kind, outputs, self.capture) if shown else None
        if documents:
            self.span.set_attributes(documents)

    def _note_output(self, captured: Captured) -> None:
        if self._flow is not None:
            self._flow.note(self.component, captured)

    def _captured(self, outputs: Mapping[str, Any]) -> Captured:
        only = next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)
        return self._measured(self.capture.value, only)

    def _measured(self, capture: Callable[[Any], Captured], value: Any) -> Captured:
        if self._began is None:
            return capture(value)
        with run_metrics.capture_measured():
            return capture(value)

    def _measure(self, seconds: float) -> None:
        flow = run_context.current_flow(self.context)
        known = flow.measured_by if flow is not None else {}
        told = {**known, names.COMPONENT_TYPE: self.component.type, **self._outcome()}
        run_metrics.record_component(seconds, told)

    def stream(self, name: str) -> StreamedOutput:
        """Keep the span open until the output `name`, which is a stream, has ended."""
        stream = StreamedOutput(self, name)
        self._streams.append(stream)
        return stream

    def stream_ended(self, stream: StreamedOutput, failure: Failure | None) -> None:
        """Note that a stream has ended; with the last one ends the span, if the component has."""
        if failure is not None:
            self.fail(failure)
        self._answered = self._answered or stream.began
        if self._released and self._is_done():
            self.end()

    def release(self) -> None:
        """End the span, or leave that to the last of the streams that the component gave out."""
        self.detach()
        self._released = time.time_ns()
        if self._failure is not None or self._is_done():
            self.end()
        elif self._flow is not None:
            self._flow.streaming.add(self)

    @property
    def streams(self) -> bool:
        """Whether the component gives out a stream."""
        return bool(self._streams)

    def count_streamed(self, usage: "Model") -> None:
        """Note the tokens that a stream told of."""
        if self._model is None or self._model.total_tokens is None:
            known = self._model or Model()
            self._model = replace(usage, name=known.name, provider=known.provider)

    def _is_done(self) -> bool:
        return not self._streams or all(stream.ended for stream in self._streams)

    def _show_streamed(self) -> None:
        """Set as output what was streamed."""
        if self._outputs is None:
            return
        shown = {name: value for name, value in self._outputs.items() if value is not None}
        for stream in self._streams:
            if stream.name in self._outputs and (stream.began or stream.whole):
                captured = self.capture.text("".join(stream.parts))
                if stream.length > sum(map(len, stream.parts)):
                    captured = captured._replace(truncated=True, length=stream.length)
                shown[stream.name] = captured
        if shown:
            only = next(iter(shown.values())) if len(shown) == 1 else self.capture.joined(shown)
            if self.shows_outputs():
                self.set_output(only)
            self._note_output(only)

    def shows_outputs(self) -> bool:
        """Tell whether what comes out of the component is shown."""
        content = self.content
        if self.component.is_input and not content.inputs:
            return False
        return content.outputs and (content.documents or self._kind != names.KIND_RETRIEVER)

    def record_model(self, model: Model) -> None:
        """Record a model call that this component made, unless a span below tells of it."""
        self._model = model

    def fail(self, failure: Failure) -> None:
        """Note what went wrong, for the flow too: some of its drivers swallow the error."""
        super().fail(failure)
        if failure.status != names.STATUS_ERROR:
            return
        if self.hidden:
            # The flow, and whatever else it passes through, would tell what it says.
            self.capture.secrets.hide_error(failure.error)
        if self._flow is not None:
            self._flow.fail(failure)

    def _before_end(self) -> None:
        if self._streams:
            self._show_streamed()
            read = how_far_read(self._streams) if self._failure is None else None
            if read is not None:
                self.span.set_attribute(names.STREAM_READ, read)
        # A component that only hands a model on, or whose call a model span tells of, is no call.
        if self.is_agent:
            self._tell_agent()
        if self._kind == names.KIND_LLM and (self.model_was_called or not self._answered):
            self.span.set_attribute(names.SPAN_KIND, names.KIND_CHAIN)
        elif self._model is not None and not self.model_was_called:
            self._tell_model(self._model)

    def _tell_model(self, model: Model) -> None:
        """Tell of the model call: here, or, where this is more than that, in a span below."""
        if self._kind == names.KIND_LLM:
            self.span.set_attributes(model.attributes())
            tell_first_token(self.span, self._streams)
            return
        if self._tracer is None or not model.has_tokens:
            return
        call = self._tracer.start_span(
            model.name or "model",
            context=self.context,
            start_time=self.span.start_time if isinstance(self.span, ReadableSpan) else None,
            attributes={names.SPAN_KIND: names.KIND_LLM, **model.attributes()},
        )
        tell_first_token(call, self._streams)
        if self._failure is None:
            call.set_status(Status(StatusCode.OK))
        call.end(self._over_ns)

    def _was_over(self) -> int | None:
        """Return when a stream was last read that is not read any more; None where that is now."""
        if self._failure is not None or all(stream.whole for stream in self._streams):
            return None
        if any(stream.asked and not stream.whole for stream in self._streams):
            return time.time_ns()
        return max([self._released, *(stream.last_ns or 0 for stream in self._streams)])

    def _forget_streams(self) -> None:
        if self._flow is not None:
            self._flow.streaming.discard(self)
        for stream in self._streams:
            stream.forget()

    def cut_off(self) -> None:
        """End the span, and those of other instrumentors below it, the innermost first."""
        for span in reversed(list(self.below.values())):
            span.set_attribute(names.CUT_OFF, value=True)
            span.end()
        super().cut_off()

    def end(self) -> None:
        """End the span, and stop watching for model calls below it."""
        if self._streams:
            self._forget_streams()
        over = self._was_over() if self._streams else None
        unfinished = over is not None or self._failure is not None
        if unfinished and self.below and self.on_abandon is not None:
            safely(self.on_abandon, list(self.below.values()), over)
        # Nothing ends after what it is in.
        self._over_ns = over if not self.below else None
        super().end()
        if self.on_end is not None:
            self.on_end(self)
            self.on_end = None
