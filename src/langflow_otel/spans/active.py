"""A span under way: current, then ended once, with a status."""

import traceback
from collections import deque
from contextvars import Token
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from langflow_otel import attributes as names
from langflow_otel.capture import NO_CONTENT, Capture, Captured, Content, label
from langflow_otel.guard import safely

_MAX_FRAMES = 30
_MAX_LOGS = 32


@dataclass(frozen=True)
class Failure:
    """What went wrong: the root error, and what that means for the span's status."""

    status: str
    error: BaseException

    @property
    def type(self) -> str:
        """The error's class, with its module unless that is builtins (as `error.type` wants)."""
        cls = type(self.error)
        known = cls.__module__ == "builtins"
        return label(cls.__qualname__ if known else f"{cls.__module__}.{cls.__qualname__}")


class ActiveSpan:
    """A span that is current from `attach` to `detach`, and ends once, with a status."""

    status_attribute: str | None = None
    #: A flow does not: its component has.
    records_exception = True

    def __init__(self, span: Span, capture: Capture, content: Content) -> None:
        """Take charge of a started span; `content` is captured with `capture`."""
        self.span = span
        self.capture = capture
        self.recording = span.is_recording()
        # Nothing is captured for a span that nobody records.
        self.content = content if self.recording else NO_CONTENT
        self.context: Context = otel_context.get_current()
        self._token: Token[Context] | None = None
        self._failure: Failure | None = None
        self._ended = False
        self._logs = 0

    def attach(self) -> None:
        """Make the span current here; `detach` must follow in the same task or thread."""
        self._token = otel_context.attach(self.context)

    def detach(self) -> None:
        """Make current again what was."""
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None

    def fail(self, failure: Failure) -> None:
        """Note what went wrong; the first failure counts."""
        self._failure = self._failure or failure
        # A coroutine that nobody awaits any more is closed wherever the collector runs: then what
        # was attached was attached in another context, and goes with that.
        elsewhere = otel_context.get_current() is not self.context
        if elsewhere and isinstance(failure.error, GeneratorExit):
            self._token = None

    def set_input(self, captured: Captured) -> None:
        """Set the input."""
        self.span.set_attribute(names.INPUT_VALUE, captured.text)
        self.span.set_attribute(names.INPUT_MIME_TYPE, captured.mime_type)
        if captured.truncated:
            self.span.set_attribute(names.INPUT_TRUNCATED, True)
            if captured.length is not None:
                self.span.set_attribute(names.INPUT_LENGTH, captured.length)

    def set_output(self, captured: Captured) -> None:
        """Set the output."""
        self.span.set_attribute(names.OUTPUT_VALUE, captured.text)
        self.span.set_attribute(names.OUTPUT_MIME_TYPE, captured.mime_type)
        if captured.truncated:
            self.span.set_attribute(names.OUTPUT_TRUNCATED, True)
            if captured.length is not None:
                self.span.set_attribute(names.OUTPUT_LENGTH, captured.length)

    def record_log(self, name: str, kind: str, message: Any) -> None:
        """Record a line that a component logged; only so many, an agent logs without end."""
        if self._ended or not self.recording:
            return
        self._logs += 1
        if self._logs > _MAX_LOGS:
            self.span.set_attribute(names.LOGS_DROPPED, self._logs - _MAX_LOGS)
            return
        event = {names.LOG_TYPE: label(kind)}
        if self.content.logs:
            event[names.LOG_NAME] = label(self.capture.text(name).text)
            event[names.LOG_MESSAGE] = self.capture.part(_MAX_LOGS).value(message).text
        self.span.add_event(names.LOG_EVENT, event)

    def end(self) -> None:
        """Detach, settle the status, end; a second call does nothing."""
        self.detach()
        if self._ended:
            return
        self._ended = True
        try:
            if self.recording:
                self._settle()
                safely(self._before_end)
                safely(self._tell_error)
        finally:
            self.span.end()

    def _before_end(self) -> None:
        """Set what is known only at the end."""

    def _settle(self) -> None:
        failure = self._failure
        status = failure.status if failure else names.STATUS_OK
        if self.status_attribute:
            self.span.set_attribute(self.status_attribute, status)
        if failure is None:
            self.span.set_status(Status(StatusCode.OK))
        elif failure.status == names.STATUS_ERROR:
            self.span.set_attribute(names.ERROR_TYPE, failure.type)
            self.span.set_status(Status(StatusCode.ERROR, failure.type))

    def _tell_error(self) -> None:
        """Say what the error says, where content is wanted, and where it was raised."""
        failure = self._failure
        if failure is None or failure.status != names.STATUS_ERROR:
            return
        event = {names.EXCEPTION_TYPE: failure.type}
        if self.content.exceptions and not self.capture.secrets.hides_error(failure.error):
            message = self.capture.text(_text_of(failure.error)).text
            self.span.set_status(Status(StatusCode.ERROR, message or failure.type))
            stack = f"{_stack_of(failure.error)}\n{failure.type}: {message}"
            event[names.EXCEPTION_MESSAGE] = message
            event[names.EXCEPTION_STACKTRACE] = self.capture.text(stack).text
        if self.records_exception:
            self.span.add_event(names.EXCEPTION_EVENT, event)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error may be unable to say what it is
        return f"<unprintable {type(error).__name__}>"


def _stack_of(error: BaseException) -> str:
    """Return the innermost frames, without source lines: reading files would block the loop."""
    frames = deque(traceback.walk_tb(error.__traceback__), maxlen=_MAX_FRAMES)
    lines = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        for frame, line in frames
    ]
    return "\n".join(["Traceback (most recent call last):", *lines])
