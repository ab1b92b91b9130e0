"""What events of ours say, by the plain keys under which vendors that keep none are told it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from opentelemetry.sdk.trace import Event

from langflow_otel import names

LOG: Mapping[str, str] = MappingProxyType(
    {"name": names.LOG_NAME, "type": names.LOG_TYPE, "message": names.LOG_MESSAGE}
)
EXCEPTION: Mapping[str, str] = MappingProxyType(
    {
        "type": names.EXCEPTION_TYPE,
        "message": names.EXCEPTION_MESSAGE,
        "stacktrace": names.EXCEPTION_STACKTRACE,
    }
)
APPROVAL: Mapping[str, str] = MappingProxyType(
    {
        "component": names.COMPONENT_ID,
        "kind": names.APPROVAL_KIND,
        "tools": names.APPROVAL_TOOLS,
        "decision": names.APPROVAL_DECISION,
        "prompt": names.APPROVAL_PROMPT,
        "values": names.APPROVAL_VALUES,
    }
)


def said_in(event: Event, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what `event` says, of `fields`: the attributes by what they are called there."""
    told = event.attributes or {}
    said = {field: told[source] for field, source in fields.items() if source in told}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in said.items()}
