"""Which processes spans are of, by what their resources say."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.spans import Span


def instances_of(spans: Iterable[Span]) -> dict[str, object]:
    """The `service.instance.id` of each process by its pid; None where the SDK gives none.

    Asserts that a process has one, and no other process the same.
    """
    told = {
        (str(span.resource["process.pid"]), span.resource.get("service.instance.id"))
        for span in spans
    }
    instances = dict(told)
    assert len(instances) == len(told), told
    given = [instance for instance in instances.values() if instance is not None]
    assert len(set(given)) == len(given) in {0, len(instances)}, told
    return instances
