"""The resource as it is in this process.

Not every SDK that we run with looks at it anew in a forked process: it would say there that the
spans are of the process which the provider was made in.
"""

import os

from opentelemetry.sdk.resources import PROCESS_PARENT_PID, PROCESS_PID, Resource


class OwnProcess:
    """Corrects the process ids of a resource; the last one is remembered."""

    def __init__(self) -> None:
        """Remember none."""
        self._made_in = os.getpid()
        self._last: tuple[Resource, int, Resource] | None = None

    def resource(self, resource: Resource) -> Resource:
        """Return `resource`; where it tells of the process that this was made in, of this one."""
        pid = os.getpid()
        if pid == self._made_in or resource.attributes.get(PROCESS_PID) != self._made_in:
            return resource
        if self._last is None or self._last[0] is not resource or self._last[1] != pid:
            told = Resource({PROCESS_PID: pid, PROCESS_PARENT_PID: os.getppid()})
            self._last = (resource, pid, resource.merge(told))
        return self._last[2]
