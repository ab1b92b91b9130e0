"""Who runs a flow: not the ids that lfx makes up where there are no users.

`lfx run` and `lfx serve` give a graph an id of its own in each run, because components ask for one:
told as a user, each run would be another user's.
"""

from collections.abc import Callable, Iterator
from typing import Any

from langflow_otel.guard import safely
from langflow_otel.seams.patches import Wrapper

_FUNCTION = "apply_run_defaults"
# All that have it from `lfx.run._defaults`, each by a name of its own.
_MODULES = (
    *("lfx.run.base", "lfx.run.hitl", "lfx.workflow.router"),
    *("lfx.cli.common", "lfx.cli.serve_durable"),
)
# The ids of so many runs, the last ones: graphs that are made of a run's graph have its id, too.
_MAX_MADE_UP = 4096
_made_up: dict[str, None] = {}


def rows() -> Iterator[tuple[str, str, Wrapper]]:
    """Yield module, function and wrapper of what gives a graph its user (lfx 0.4 and later)."""
    for module in _MODULES:
        yield module, _FUNCTION, note_made_up


def note_made_up(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Note the id that is made up where neither the caller nor the graph names a user."""
    graph = args[0] if args else kwargs.get("graph")
    named = safely(_is_named, graph, kwargs)
    result = wrapped(*args, **kwargs)
    if named is False:
        safely(_note, graph)
    return result


def is_made_up(user_id: Any) -> bool:
    """Tell whether lfx has made up `user_id` for one run."""
    return isinstance(user_id, str) and user_id in _made_up


def _is_named(graph: Any, told: dict[str, Any]) -> bool:
    if told.get("user_id"):
        return True
    known = graph.user_id
    return bool(known) and not told.get("overwrite_user_id", True) and not is_made_up(known)


def _note(graph: Any) -> None:
    while len(_made_up) >= _MAX_MADE_UP:
        _made_up.pop(next(iter(_made_up)), None)
    _made_up[str(graph.user_id)] = None
