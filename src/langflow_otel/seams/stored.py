"""Which flow it is that runs: Langflow does not tell each run the name that the flow has.

Before 1.12 a run of the playground has none. And each visitor of a shared flow runs that under an
id and a name made of the visitor's: told so, one flow would be as many as it has visitors, and
nobody could find it or exclude it.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from langflow_otel.seams.loads import keep, watch_loads

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Who the visitor is, and the id of the flow.
_OF_VISITOR = re.compile(rf".+_({_UUID})", re.DOTALL)
_MAX_NAMES = 10_000
_names: dict[str, str] = {}


def as_stored(flow_id: Any, name: Any, source_id: Any = None) -> tuple[Any, Any]:
    """Return the id and the name that a flow is stored under, of those that it runs under.

    Args:
        flow_id: The id that it runs under.
        name: The name that it runs under, if it has one.
        source_id: The id that it is stored under, where Langflow tells that (1.8 and later).
    """
    stored_id = source_id or _source_of(flow_id, name)
    if stored_id is None:
        return flow_id, name or _names.get(str(flow_id))
    if str(name).endswith(f"_{stored_id}"):
        name = None
    return stored_id, _names.get(str(stored_id)) or name


def watch_names(module: Any) -> Callable[[], None]:
    """Learn the names of flows as they are loaded, which Langflow does before it runs one."""
    return watch_loads(module.Flow, _keep_name)


def _keep_name(said: Mapping[str, Any]) -> None:
    if said.get("id") and said.get("name"):
        keep(_names, str(said["id"]), said["name"], _MAX_NAMES)


def _source_of(flow_id: Any, name: Any) -> str | None:
    """Return the id that a shared flow is stored under in Langflow 1.7, which tells it nowhere."""
    found = _OF_VISITOR.fullmatch(name) if isinstance(name, str) else None
    if found is None or str(flow_id) != str(uuid.uuid5(uuid.NAMESPACE_DNS, found[0])):
        return None
    return found[1]
