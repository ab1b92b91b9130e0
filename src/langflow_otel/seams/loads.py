"""Learning from the rows of Langflow's database as Langflow loads them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from langflow_otel.guard import safely

K = TypeVar("K")


def watch_loads(model: type, learn: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
    """Call `learn` with the fields of each row of `model` that is loaded; return what ends that."""
    from sqlalchemy import event

    def loaded(row: Any, _: Any) -> None:
        safely(learn, vars(row))

    event.listen(model, "load", loaded)
    return lambda: event.remove(model, "load", loaded)


def keep(known: dict[K, str], key: K, value: str, most: int) -> None:
    """Keep `value`; the one that was known first goes where there are `most` of them."""
    if known.pop(key, None) is None and len(known) >= most:
        known.pop(next(iter(known)), None)
    known[key] = value
