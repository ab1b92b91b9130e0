"""A span under way: current, then ended once, with a status."""

import time
import traceback
from collections import deque
from contextvars import Token
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from langflow_otel import names, run_metrics
from langflow_otel.attaching import detach
from langflow_otel.capture import NO_CONTENT, Capture, Captured, Content, label
from langflow_otel.guard import safely
from langflow_otel.spans import under_way

_MAX_FRAMES = 30
_MAX_LOGS = 32
_OK = Status(StatusCode.OK)
_INPUT = (
    names.INPUT_VALUE,
    names.INPUT_MIME_TYPE,
    names.INPUT_TRUNCATED,
    names.INPUT_LENGTH,
)
_OUTPUT = (
    names.OUTPUT_VALUE,
    names.OUTPUT_MIME_TYPE,
    names.OUTPUT_TRUNCATED,
    names.OUTPUT_LENGTH,
)


@dataclass(frozen=True)
class Failure:
    """What went wrong: the root error, and what that means for the span's status.

    Attributes:
        status: What the span is to say of itself.
        error: What was raised; where nothing was, something that says what went wrong.
        name: What `error.type` is to be, where a convention knows better than the error's class.
    """

    status: str
    error: BaseException
    name: str | None = None

    @property
    def type(self) -> str:
        """The error's class, with its module unless that is builtins (as `error.type` wants)."""
        if self.name is not None:
            return self.name
        cls = type(self.error)
        known = cls.__module__ == "builtins"
        return label(cls.__qualname__ if known else f"{cls.__module__}.{cls.__qualname__}")


class Once:
    """What is done once, whichever threads come to it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        """Start with nothing done."""
        self._left = [True]

    def take(self) -> bool:
        """Tell whether it is the caller that does it."""
        try:
            # One step, where to look first and to write then are two.
            return self._left.pop()
        except IndexError:
            return False


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
        #: Whether what ran here came to its end elsewhere, as where the collector closes it.
        self.abandoned = False
        self._failure: Failure | None = None
        self._paused = False
        self.ended = False
        self._to_end = Once()
        #: When what it tells of was over, if that was before it is ended.
        self._over_ns: int | None = None
        self._logs = 0
        #: What is set with what is set at the end anyway, as it costs less together.
        self._kept: dict[str, str | int] = {}
        # Runs are counted whether they are sampled or not; what is excluded has no valid span.
        counted = run_metrics.are_recorded() and span.get_span_context().is_valid
        self._began = time.perf_counter() if counted else None
        if self.recording:
            under_way.add(self)

    @property
    def is_measured(self) -> bool:
        """Whether somebody collected metrics when the span began."""
        return self._began is not None

    def attach(self) -> None:
        """Make the span current here; `detach` must follow in the same task or thread."""
        self._token = otel_context.attach(self.context)

    def detach(self) -> None:
        """Make current again what was."""
        if self._token is not None:
            self.abandoned = not detach(self._token)
            self._token = None

    def fail(self, failure: Failure) -> None:
        """Note what went wrong; the first failure counts."""
        self._failure = self._failure or failure

    def pause(self) -> None:
        """Note that what runs here stops in order to go on later."""
        self._paused = True

    def set_input(self, captured: Captured) -> None:
        """Set the input."""
        self.span.set_attributes(_told(captured, *_INPUT))

    def set_output(self, captured: Captured) -> None:
        """Set the output."""
        self.span.set_attributes(_told(captured, *_OUTPUT))

    def keep_input(self, captured: Captured) -> None:
        """Let the input be set at the end."""
        self._kept |= _told(captured, *_INPUT)

    def keep_output(self, captured: Captured) -> None:
        """Let the output be set at the end."""
        self._kept |= _told(captured, *_OUTPUT)

    def record_log(self, name: str, kind: str, message: Any) -> None:
        """Record a line that a component logged; only so many, an agent logs without end."""
        if self.ended or not self.recording:
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
        if self._token is not None:
            self.detach()
        if self._to_end.take():
            self._close()

    def cut_off(self) -> None:
        """End the span from elsewhere, as cancelled: the process that runs it is about to end."""
        if self._to_end.take():
            self._failure = self._failure or Failure(names.STATUS_CANCELLED, GeneratorExit())
            self.span.set_attribute(names.CUT_OFF, value=True)
            self._close()
            # What runs on, for as long as it may, has nothing to add.
            self.recording, self.content = False, NO_CONTENT

    def disown(self) -> None:
        """Leave the span to the process that this one was forked from."""
        self._to_end.take()
        self.ended = True

    def _close(self) -> None:
        self.ended = True
        under_way.discard(self)
        try:
            if self.recording:
                self._settle()
                safely(self._before_end)
                if self._failure is not None:
                    safely(self._tell_error)
        finally:
            self.span.end(self._over_ns)
            if self._began is not None:
                since = (time.time_ns() - self._over_ns) / 1e9 if self._over_ns else 0
                safely(self._measure, time.perf_counter() - self._began - since)

    def _measure(self, seconds: float) -> None:
        """Record how long that took, as a metric."""

    def _outcome(self) -> dict[str, str]:
        """Return the status and the class of the error, by attribute name."""
        failure = self._failure
        unfailed = names.STATUS_PAUSED if self._paused else names.STATUS_OK
        outcome = {}
        if self.status_attribute:
            outcome[self.status_attribute] = failure.status if failure else unfailed
        if failure is not None and failure.status == names.STATUS_ERROR:
            outcome[names.ERROR_TYPE] = failure.type
        return outcome

    def _before_end(self) -> None:
        """Set what is known only at the end."""

    def _settle(self) -> None:
        outcome = self._outcome()
        self.span.set_attributes({**self._kept, **outcome})
        if names.ERROR_TYPE in outcome:
            self.span.set_status(Status(StatusCode.ERROR, outcome[names.ERROR_TYPE]))
        elif self._failure is None and not self._paused:
            self.span.set_status(_OK)

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


def _told(
    captured: Captured, value: str, mime_type: str, truncated: str, length: str
) -> dict[str, str | int]:
    """Return what is said of a captured value, by these names."""
    told: dict[str, str | int] = {value: captured.text, mime_type: captured.mime_type}
    if captured.truncated:
        told[truncated] = True
        if captured.length is not None:
            told[length] = captured.length
    return told


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
