"""Sends runs with LangSmith's own client, one request for one batch, and hears the answer.

The client writes the runs (as multipart) and obeys `LANGSMITH_HIDE_*`. Used as it comes it would do
more than is asked: queue in a thread of its own, add the environment to each run, leave out what it
samples, make a global tracer provider, retry, and tell nobody of a failure. Each of these has an
argument that turns it off, but for the last two: for them it gets a session with our own wire.
"""

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import requests
from opentelemetry.trace import NoOpTracerProvider

from langflow_otel.export.http import Wire
from langflow_otel.export.langsmith.runs import Run, without_content
from langflow_otel.export.sending import Answer, Verdict
from langflow_otel.guard import warn_once

# 409 is for a run that is there already: it was sent before, and the answer was lost.
_CONFLICT = 409
# What is there in place of LangSmith's API: nothing of the kind, or only a way to it.
_ELSEWHERE = (301, 302, 307, 308, 404, 405)
# Of one request (LangSmith's documentation): 100 runs and 20 MB; some is for what goes around them.
MAX_RUNS, MAX_BYTES = 100, 18_000_000
_AROUND = 1024
_PREFIXES = ("LANGSMITH_", "LANGCHAIN_")


class LangSmithSender:
    """Sends runs to LangSmith, from one thread at a time.

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
        self._hides_inputs, self._hides_outputs = hides("INPUTS"), hides("OUTPUTS")
        self._wire = _Wire(dumps=bool(said("FAILED_TRACES_DIR")))
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
            self._client.multipart_ingest(create=[self._shown(run) for run in items])
        except Exception as error:  # noqa: BLE001 - what it cannot write
            return Answer(Verdict.INVALID, type(error).__name__)
        answer = self._wire.answer or Answer(Verdict.INVALID, "not sent by langsmith's client")
        if answer.status in _ELSEWHERE:
            warn_once(
                "langflow-otel: %s in place of LangSmith's API; look at LANGSMITH_ENDPOINT (that "
                "of one's own LangSmith ends in /api/v1)",
                answer.detail,
            )
        return answer

    def size(self, item: Run) -> int:
        """Return about how many bytes `item` takes in a request."""
        try:
            return _AROUND + len(orjson.dumps(item))
        except TypeError:
            # Half a surrogate pair, or too deep: the client has its ways with both.
            return _AROUND + len(repr(item))

    def hurry(self, seconds: float) -> None:
        """Let the request that is under way end in `seconds`."""
        self._wire.hurry(seconds)

    def renew(self) -> None:
        """Start anew in a forked process."""
        self._wire.renew()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _shown(self, run: Run) -> Run:
        run = without_content(run, inputs=self._hides_inputs, outputs=self._hides_outputs)
        copied = {key: dict(part) if isinstance(part, dict) else part for key, part in run.items()}
        if not copied.get("events"):
            # Each part of a request takes the client 20 µs, an empty one too.
            copied.pop("events", None)
        return copied


class _Wire(Wire):
    """Lets the client keep on disk what was not taken, where it is told to.

    It does so only for what it takes for an error, and logs that as well; else it hears of none.
    """

    def __init__(self, *, dumps: bool) -> None:
        super().__init__(own=True, taken=frozenset({_CONFLICT}))
        self._dumps = dumps

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(*args, **kwargs)
        answer = self.answer
        if self._dumps and answer is not None and answer.verdict is not Verdict.TAKEN:
            # One that the client does not try again.
            raise requests.RequestException(answer.detail)
        return response


def said(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return what LANGSMITH_`name`, else LANGCHAIN_`name`, says; "" where neither is set.

    LangSmith's own reader keeps what a variable said at first.
    """
    values = (environ.get(prefix + name, "").strip() for prefix in _PREFIXES)
    return next((value for value in values if value), "")


def hides(what: str) -> bool:
    """Tell whether LANGSMITH_HIDE_`what` is on: LangSmith's own switches against content."""
    return said(f"HIDE_{what}").lower() == "true"


def _client(endpoint: str, api_key: str, workspace_id: str, session: requests.Session) -> Any:
    try:
        from langsmith import Client
    except ImportError:
        raise ImportError(_INSTALL) from None
    known = inspect.signature(Client).parameters
    if "omit_traced_runtime_info" not in known:
        raise ImportError(_INSTALL)
    settings: dict[str, Any] = {
        "api_url": endpoint,
        "api_key": api_key,
        # With None it would look for one in the environment, and in the profile of its CLI.
        "workspace_id": workspace_id,
        "session": session,
        "auto_batch_tracing": False,
        "omit_traced_runtime_info": True,
        "tracing_sampling_rate": 1.0,
        "hide_inputs": hides("INPUTS"),
        "hide_outputs": hides("OUTPUTS"),
        "hide_metadata": hides("METADATA"),
        # Asked for over HTTP where it is not given.
        "info": {},
        # Else, with LANGSMITH_OTEL_ENABLED, it would make one and set it for the whole process.
        "otel_tracer_provider": NoOpTracerProvider(),
    }
    if "tracing_mode" in known:
        settings["tracing_mode"] = "langsmith"
    return Client(**settings)


_INSTALL = (
    "langsmith 0.4.59 or later is not installed (pip install 'langflow-otel[langsmith]'); nothing "
    "is sent to langsmith"
)
