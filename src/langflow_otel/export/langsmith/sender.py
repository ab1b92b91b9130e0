"""Sends runs with LangSmith's own client, one request for one batch, and hears the answer.

The client writes the runs (as multipart, since langsmith 0.1) and knows `LANGSMITH_HIDE_*`. Used
as it comes it would do more than is asked: queue in a thread of its own, add the environment to
each run, leave out what it samples, retry, and tell nobody of a failure. Each of these has an
argument that turns it off, but for the last two: for them it gets a session with our own wire.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import requests

from langflow_otel.export.http import Wire
from langflow_otel.export.sending import Answer, Verdict

Run = dict[str, Any]

# 409 is for a run that is there already: it was sent before, and the answer was lost.
_CONFLICT = 409
# Of one request (LangSmith's documentation): 100 runs and 20 MB; some is for what goes around them.
MAX_RUNS, MAX_BYTES = 100, 18_000_000
_AROUND = 1024


class LangSmithSender:
    """Sends runs to LangSmith.

    Args:
        endpoint: The base of LangSmith's API.
        api_key: Whose the runs are.
        workspace_id: Of an organisation's key, "" where it has one workspace.

    Raises:
        ImportError: langsmith is not installed, or is older than 0.4.59.
        Exception: LangSmith's client does not take its variables.
    """

    def __init__(self, endpoint: str, api_key: str, workspace_id: str = "") -> None:
        """See the class."""
        self._wire = Wire(own=True, taken=frozenset({_CONFLICT}))
        self._session = requests.Session()
        self._client = _client(endpoint, api_key, workspace_id, self._session)
        # Over the adapter that the client has mounted, which retries.
        self._session.mount("http://", self._wire)
        self._session.mount("https://", self._wire)

    def send(self, items: Sequence[Run], timeout: float) -> Answer:
        """Send `items` in one request."""
        self._wire.begin(timeout)
        try:
            # It takes the fields out of the runs it is given.
            self._client.multipart_ingest(create=[_copy(run) for run in items])
        except Exception as error:  # noqa: BLE001 - what it cannot write
            return Answer(Verdict.INVALID, type(error).__name__)
        return self._wire.answer or Answer(Verdict.INVALID, "not sent by langsmith's client")

    def size(self, item: Run) -> int:
        """Return about how many bytes `item` takes in a request."""
        return _AROUND + len(orjson.dumps(item, default=str, option=orjson.OPT_NON_STR_KEYS))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _client(endpoint: str, api_key: str, workspace_id: str, session: requests.Session) -> Any:
    try:
        from langsmith import Client
    except ImportError:
        raise ImportError(_INSTALL) from None
    settings: dict[str, Any] = {
        "api_url": endpoint,
        "api_key": api_key,
        "workspace_id": workspace_id or None,
        "session": session,
        "auto_batch_tracing": False,
        "omit_traced_runtime_info": True,
        "tracing_sampling_rate": 1.0,
        # Asked for over HTTP where it is not given.
        "info": {},
        "otel_enabled": False,
    }
    try:
        return Client(**settings)
    except TypeError:
        raise ImportError(_INSTALL) from None


def _copy(run: Run) -> Run:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in run.items()}


_INSTALL = (
    "langsmith 0.4.59 or later is not installed (pip install 'langflow-otel[langsmith]'); nothing "
    "is sent to langsmith"
)
