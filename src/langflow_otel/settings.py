"""The environment as one frozen, typed object. A wrong value is named once and made safe."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

from langflow_otel import environment as env

logger = logging.getLogger("langflow_otel")

DEFAULT_MAX_VALUE_BYTES = 16 * 1024
_MAX_VALUE_BYTES_RANGE = range(256, 1024 * 1024 + 1)
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_GENAI_CONTENT = {
    "true": True,
    "span_only": True,
    "span_and_event": True,
    "false": False,
    "no_content": False,
    "event_only": False,
}


@dataclass(frozen=True)
class Settings:
    """How langflow-otel behaves.

    Attributes:
        capture_content: Whether inputs, outputs, logs and error messages are captured; None
            leaves the choice to the destinations.
        max_value_bytes: The most bytes of UTF-8 one captured value may have.
        instrument_langchain: Whether OpenInference's LangChain instrumentor is turned on; None
            means "when it is installed and not disabled".
        replace_tracers: Whether Langflow's own tracers of the same vendors are left out.
    """

    capture_content: bool | None = None
    max_value_bytes: int = DEFAULT_MAX_VALUE_BYTES
    instrument_langchain: bool | None = None
    replace_tracers: bool = True

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, capture_content: bool | None = None
    ) -> "Settings":
        """Read the settings from `environ`; log a wrong value once and use the safe one.

        `capture_content`, where it is not None, goes before what the environment says.
        """
        if capture_content is None:
            capture_content = _capture_content(environ)
        return cls(
            capture_content=capture_content,
            max_value_bytes=_max_value_bytes(environ),
            instrument_langchain=_boolean(
                environ, env.OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN, unusable=None
            ),
            replace_tracers=_boolean(
                environ, env.OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS, unusable=None
            )
            is not False,
        )


def deactivated_by(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of the variable that turns langflow-otel off, if one does."""
    for name in ("OTEL_SDK_DISABLED", env.LANGFLOW_DEACTIVATE_TRACING):
        if environ.get(name, "").strip().lower() in _TRUE:
            return name
    if {"langflow", "*"} & disabled_instrumentations(environ):
        return "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
    return None


def disabled_instrumentations(environ: Mapping[str, str] = os.environ) -> set[str]:
    """Return the names in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`."""
    listed = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    return {name.strip() for name in listed.split(",") if name.strip()}


def _capture_content(environ: Mapping[str, str]) -> bool | None:
    if environ.get(env.OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT, "").strip():
        return _boolean(environ, env.OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT, unusable=False)
    name = env.GENAI_CAPTURE_MESSAGE_CONTENT
    value = environ.get(name, "").strip()
    if not value:
        return None
    if value.lower() in _GENAI_CONTENT:
        return _GENAI_CONTENT[value.lower()]
    _wrong(name, value, "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT", "no content")
    return False


def _max_value_bytes(environ: Mapping[str, str]) -> int:
    name = env.OTEL_PYTHON_LANGFLOW_MAX_VALUE_BYTES
    value = environ.get(name, "").strip()
    if not value:
        return DEFAULT_MAX_VALUE_BYTES
    if value.isascii() and value.isdigit() and int(value[:12]) in _MAX_VALUE_BYTES_RANGE:
        return int(value)
    low, high = _MAX_VALUE_BYTES_RANGE[0], _MAX_VALUE_BYTES_RANGE[-1]
    _wrong(name, value, f"a whole number from {low} to {high}", str(DEFAULT_MAX_VALUE_BYTES))
    return DEFAULT_MAX_VALUE_BYTES


def _boolean(environ: Mapping[str, str], name: str, *, unusable: bool | None) -> bool | None:
    value = environ.get(name, "").strip()
    if not value:
        return None
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    _wrong(name, value, "true, false", "the default" if unusable is None else str(unusable).lower())
    return unusable


def _wrong(name: str, value: str, allowed: str, used: str) -> None:
    logger.warning(
        "langflow-otel: %s=%.80r is not allowed (allowed: %s); using %s", name, value, allowed, used
    )
