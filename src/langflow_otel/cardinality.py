"""A bound on the number of time series that one metric can make."""

from collections.abc import Mapping
from typing import TypeVar

OTHER = "other"

V = TypeVar("V")

_limit = 1000


def set_limit(limit: int) -> None:
    """Let each metric tell `limit` combinations of values apart, at the most."""
    global _limit  # noqa: PLW0603 - one for the process, as its meter provider is
    _limit = limit


class CardinalityCap:
    """Folds what comes after the first combinations of values into `other`.

    Names of flows and models are for users to make, without end; each is a time series that a
    metrics backend keeps, and bills. A combination that was let in once always is.

    Args:
        *names: The attributes with values without end; the values of the others stay as they are.
    """

    def __init__(self, *names: str) -> None:
        """See the class."""
        self._names = names
        self._seen: set[tuple[object, ...]] = set()

    def __call__(self, attributes: Mapping[str, V]) -> dict[str, V | str]:
        """Return `attributes`, those without end as `other` where there are too many."""
        values = tuple(attributes.get(name) for name in self._names)
        if values not in self._seen:
            # Two threads may let in one more than the limit together, and not a third.
            if len(self._seen) >= _limit:
                return {**attributes, **{n: OTHER for n in self._names if n in attributes}}
            self._seen.add(values)
        return dict(attributes)
