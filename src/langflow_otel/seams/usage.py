"""What a component tells of a model that it called itself, where Langflow counts nothing for it.

Langflow counts the tokens of what its own components ask LangChain's models. A component that
calls a provider's client says it, from Langflow 1.8 on, on the message that it gives out
(`properties.usage`, which is shown in the chat), or on the last piece of a stream. A message is
handed on with all that stands on it, so not each that has it comes from a call: only the first.
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langflow_otel.capture.classes import class_names
from langflow_otel.seams.langflow import text
from langflow_otel.spans import Model

_FIELDS = ("input_tokens", "output_tokens", "total_tokens")
_OPENAIS = ("prompt_tokens", "completion_tokens", "total_tokens")
# What has come out of components, while anybody holds it; by identity, with what has it.
_seen: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()


def usage_of(component: Any) -> Model | None:
    """Return what the messages that `component` gives out tell of a call of its own, if they do.

    The name of the model is what a message says that its source is.
    """
    new = [message for message in _given_out(component) if _is_new(message)]
    if not new:
        return None
    # Some hand on a copy of what they were given.
    given = {_tokens(_usage(message)) for message in _taken_in(component)}
    own = [message for message in new if _tokens(_usage(message)) not in given]
    if not own:
        return None
    counts = zip(*(_tokens(_usage(message)) for message in own), strict=True)
    return Model(_source(component, own[0]), None, *map(_sum, counts))


def usage_of_piece(piece: Any) -> Model | None:
    """Return what a piece of a stream tells of the tokens, in each of the ways Langflow reads."""
    usage = getattr(piece, "usage_metadata", None)
    if usage:
        return _model(usage, _FIELDS)
    metadata = getattr(piece, "response_metadata", None)
    if not isinstance(metadata, Mapping):
        return None
    if metadata.get("token_usage"):
        return _model(metadata["token_usage"], _OPENAIS)
    return _model(metadata["usage"], _FIELDS) if metadata.get("usage") else None


def _model(usage: Any, fields: tuple[str, ...]) -> Model | None:
    told = usage if isinstance(usage, Mapping) else {n: getattr(usage, n, None) for n in fields}
    model = Model(None, None, *(_number(told.get(name)) for name in fields))
    return model if model.has_tokens else None


def _given_out(component: Any) -> list[Any]:
    outputs = vars(component).get("_outputs_map", {}).values()
    return list(_telling(vars(output).get("value") for output in outputs))


def _taken_in(component: Any) -> list[Any]:
    values = vars(component).get("_attributes", {}).values()
    return list(_telling(each for v in values for each in (v if type(v) is list else (v,))))


def _telling(values: Iterable[Any]) -> Iterator[Any]:
    """Yield the messages among `values` that tell of tokens."""
    for value in values:
        if "Message" in class_names(type(value)) and any(_tokens(_usage(value))):
            yield value


def _properties(message: Any) -> Any:
    return getattr(message, "__dict__", {}).get("properties")


def _usage(message: Any) -> Any:
    return getattr(_properties(message), "usage", None)


def _tokens(usage: Any) -> tuple[int | None, ...]:
    return tuple(_number(getattr(usage, name, None)) for name in _FIELDS)


def _is_new(message: Any) -> bool:
    """Tell whether no component has given this out before; from now on one has."""
    usage = _usage(message)
    if _seen.get(id(usage)) is usage:
        return False
    _seen[id(usage)] = usage
    return True


def _source(component: Any, message: Any) -> str | None:
    source = getattr(_properties(message), "source", None)
    name = text(getattr(source, "source", None))
    itself = (vars(component).get("_id"), getattr(component, "display_name", None))
    return None if name in itself else name


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
