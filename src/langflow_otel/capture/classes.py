"""What a class is, by its name: no library has to be imported to know its types."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")
Check = Callable[[Any], bool]


def per_class(function: Callable[[type], R]) -> Callable[[type], R]:
    """Remember what `function` says of each class; of so many, because flows make new ones."""
    return functools.lru_cache(maxsize=512)(function)


def instances_of(*kinds: type) -> Check:
    """Return what `isinstance` says of `kinds`; the abstract ones take a microsecond to ask."""

    @per_class
    def known(cls: type) -> bool:
        return issubclass(cls, kinds)

    def check(value: Any) -> bool:
        cls, said = type(value), value.__class__
        # What stands for something else says that it is of its class.
        return known(cls) or (said is not cls and known(said))

    return check


@per_class
def class_names(cls: type) -> frozenset[str]:
    """Return the names of `cls` and its bases."""
    return frozenset(base.__name__ for base in cls.__mro__)


@per_class
def qualified_names(cls: type) -> frozenset[str]:
    """Return the same, each behind the package it is of, as `pandas.DataFrame`."""
    return frozenset(
        f"{str(base.__module__).partition('.')[0]}.{base.__name__}" for base in cls.__mro__
    )


@per_class
def langflow_names(cls: type) -> frozenset[str]:
    """Return the names of those that are Langflow's."""
    homes = {"lfx", "langflow"}
    return frozenset(
        base.__name__ for base in cls.__mro__ if str(base.__module__).partition(".")[0] in homes
    )
