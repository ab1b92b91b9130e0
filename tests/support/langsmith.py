"""A local LangSmith: takes runs by the rules of its ingestion, and refuses a whole batch for one.

LangSmith's server is not public. The rules are those that its documentation, its SDK and its issue
threads tell. One is ours: the documentation does not say what becomes of a batch of which some runs
are there already; here the new ones are taken, and the answer is 409.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.message import Message
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson

from tests.support.faults import Reply
from tests.support.receiver import Attempt, Incoming, Receiver, Refused

MULTIPART, BATCH, INFO, SESSIONS = "/runs/multipart", "/runs/batch", "/info", "/sessions"
RUN_TYPES = ("llm", "chain", "tool", "retriever", "embedding", "prompt", "parser")
MOST_RUNS = 100
MOST_BYTES = 20_971_520

_FIELDS = ("inputs", "outputs", "events", "extra", "error", "serialized")
# strptime alone would take fewer digits of a second's fraction.
_SEGMENT = re.compile(r"(\d{8}T\d{12}Z)(.*)")
_SEGMENT_TIME = "%Y%m%dT%H%M%S%fZ"
_TOTALS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = {
    "input_token_details": "input_tokens",
    "output_token_details": "output_tokens",
    "input_cost_details": "input_cost",
    "output_cost_details": "output_cost",
}
_COSTS = ("input_cost", "output_cost", "total_cost")
_THREADS = ("session_id", "thread_id", "conversation_id")
_LEAKING = ("LANGSMITH_", "LANGCHAIN_")
_NO_SECRETS = ("_PROJECT", "_SESSION")
"""Ends of variables whose values a run names anyway."""

Fields = Mapping[str, Any]
"""A run as it is sent."""


@dataclass(frozen=True)
class Run:
    """A run that was taken."""

    id: str
    trace_id: str
    parent_run_id: str | None
    dotted_order: str
    name: str
    run_type: str
    project: str
    start_time: datetime
    end_time: datetime | None
    inputs: Fields
    outputs: Fields
    error: str | None
    tags: tuple[str, ...]
    metadata: Fields
    events: tuple[Fields, ...]
    fields: Fields = field(repr=False)
    """All that was sent of it."""
    children: tuple[Run, ...] = ()
    """In the order they started; of runs out of `LangSmithReceiver.trees` only."""

    @property
    def usage(self) -> Fields:
        """The usage metadata, wherever it stands; empty where there is none."""
        return _usage(self.fields)

    def walk(self) -> Iterator[Run]:
        """This run, and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


class LangSmithReceiver(Receiver):
    """Stands in for LangSmith: `LANGSMITH_ENDPOINT=receiver.endpoint`, and the key.

    Args:
        api_key: The one it expects.
        base: A path that all others are below, as "/api/v1" of a self-hosted one.
    """

    def __init__(self, api_key: str = "lsv2_pt_test_key", *, base: str = "") -> None:
        super().__init__()
        self.api_key = api_key
        self._base = base
        self._runs: dict[str, dict[str, Any]] = {}
        self._attachments: dict[tuple[str, str], bytes] = {}
        self._feedback: list[Any] = []
        self._violations: list[str] = []

    @property
    def endpoint(self) -> str:
        """As in LANGSMITH_ENDPOINT."""
        return super().endpoint + self._base

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead here."""
        return {"LANGSMITH_API_KEY": self.api_key, "LANGSMITH_ENDPOINT": self.endpoint}

    @property
    def runs(self) -> list[Run]:
        """The runs that were taken, in the order they came."""
        with self._changed:
            return [_run(fields) for fields in self._runs.values()]

    @property
    def trees(self) -> list[Run]:
        """The roots, with their children; a run whose parent is not here is a root, too."""
        return _trees(self.runs)

    @property
    def violations(self) -> list[str]:
        """What was taken and should not have been sent, such as the environment: a line each."""
        with self._changed:
            return list(self._violations)

    @property
    def attachments(self) -> dict[tuple[str, str], bytes]:
        """The attachments by run id and name."""
        with self._changed:
            return dict(self._attachments)

    @property
    def feedback(self) -> list[Any]:
        """What feedback came in between the runs."""
        with self._changed:
            return list(self._feedback)

    @property
    def tenants(self) -> list[str | None]:
        """The workspace that each request for runs named, None where it did not."""
        return [a.headers.get("x-tenant-id") for a in self.attempts if self._is_ingestion(a)]

    @property
    def other_requests(self) -> list[Attempt]:
        """Every request for something else than to take a batch of runs; /info is one, too."""
        return [a for a in self.attempts if not self._is_ingestion(a)]

    def wait_for(
        self, wanted: int | Callable[[list[Run]], Any], timeout: float = 15.0
    ) -> list[Run]:
        """All runs, as soon as there are so many, or the predicate holds; else AssertionError."""

        def enough() -> bool:
            runs = self.runs
            return len(runs) >= wanted if isinstance(wanted, int) else bool(wanted(runs))

        def what() -> str:
            return f"{len(self.runs)} runs, not what was waited for:\n{render(self.trees)}\n"

        with self._changed:
            self.wait_until(enough, what, timeout)
            return self.runs

    def problems(self) -> list[str]:
        """The violations, and what is wrong with whole traces; only to ask when all has come."""
        return [*self.violations, *_problems_of_traces(self.runs)]

    def check_whole(self) -> None:
        """Raise AssertionError where anything was refused, violated, or a trace is not whole."""
        problems = [*self.rejected, *self.problems()]
        assert problems == [], "\n".join(problems)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._changed:
            super().clear()
            self._runs.clear()
            self._attachments.clear()
            self._feedback.clear()
            self._violations.clear()

    def respond(self, request: Incoming) -> Reply:
        """Take runs; Refused where the request, or one run in it, breaks a rule."""
        path = request.path.removeprefix(self._base)
        if (request.method, path) == ("GET", INFO):
            return _json(_ABOUT)
        if request.headers.get("x-api-key") != self.api_key:
            raise Refused(401, "x-api-key is not the one")
        if (request.method, path) == ("GET", SESSIONS):
            return _json([])
        if request.method != "POST" or path not in (MULTIPART, BATCH):
            raise Refused(404, "no such path")
        batch = self._batch(request)
        if len(batch.post) + len(batch.patch) > MOST_RUNS:
            raise Refused(413, f"{len(batch.post) + len(batch.patch)} runs, over {MOST_RUNS}")
        return self._take(batch)

    def items(self, request: Incoming) -> list[Any]:
        """The runs in a request."""
        if request.path.removeprefix(self._base) not in (MULTIPART, BATCH):
            return []
        batch = self._batch(request)
        return [*batch.post, *batch.patch]

    def _is_ingestion(self, attempt: Attempt) -> bool:
        path = attempt.path.removeprefix(self._base)
        return attempt.method == "POST" and path in (MULTIPART, BATCH)

    def _batch(self, request: Incoming) -> _Batch:
        body = request.body("identity", "zstd")
        if len(body) > MOST_BYTES:
            raise Refused(413, f"{len(body)} bytes, over {MOST_BYTES}")
        if request.path.endswith(MULTIPART):
            return _from_multipart(request.headers.get("content-type", ""), body)
        if request.headers.get("content-type") != "application/json":
            raise Refused(415, f"content-type {request.headers.get('content-type')!r}")
        return _from_json(body)

    def _take(self, batch: _Batch) -> Reply:
        with self._changed:
            known = {**{str(run.get("id")): run for run in batch.post}, **self._runs}
            patched = [
                {
                    **known.get(str(run.get("id")), {}),
                    **{k: v for k, v in run.items() if v is not None},
                }
                for run in batch.patch
            ]
            broken = [line for run in [*batch.post, *patched] for line in _broken(run)]
            if broken:
                raise Refused(422, orjson.dumps({"detail": broken}).decode())
            new = [run for run in batch.post if run["id"] not in self._runs]
            self._runs.update({run["id"]: run for run in [*new, *patched]})
            self._attachments.update(batch.attachments)
            self._feedback += batch.feedback
            for run in [*new, *patched]:
                self._violations += [f"{run['name']}: {leak}" for leak in _leaks(run, self.api_key)]
            if len(new) < len(batch.post):
                return _json({"detail": "some of these runs are there already"}, 409)
            return _json({"message": "Runs batch ingested"}, 202)


def render(runs: Iterable[Run], depth: int = 0) -> str:
    """The trees as indented text: type, name, and `!error`; a line each."""
    lines = []
    for run in runs:
        lines.append(f"{'  ' * depth}{run.run_type} {run.name}{' !error' if run.error else ''}")
        if run.children:
            lines.append(render(run.children, depth + 1))
    return "\n".join(lines)


# -- what a request holds


@dataclass
class _Batch:
    post: list[dict[str, Any]] = field(default_factory=list)
    patch: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[Any] = field(default_factory=list)
    attachments: dict[tuple[str, str], bytes] = field(default_factory=dict)


def _from_json(body: bytes) -> _Batch:
    sent = _loaded(body, "the body")
    lists = [sent.get(key, []) for key in ("post", "patch")] if isinstance(sent, dict) else [None]
    if not all(isinstance(runs, list) and all(isinstance(r, dict) for r in runs) for runs in lists):
        raise Refused(400, 'the body is not {"post": [run, …], "patch": [run, …]}')
    return _Batch(*lists)


def _from_multipart(content_type: str, body: bytes) -> _Batch:
    batch = _Batch()
    runs: dict[tuple[str, str], dict[str, Any]] = {}
    for name, content in _parts(content_type, body):
        kind, _, rest = name.partition(".")
        run_id, _, key = rest.partition(".")
        if kind == "attachment":
            if not key or "." in key:
                raise Refused(400, f"part {name!r}: an attachment's name has no period")
            batch.attachments[run_id, key] = content
        elif kind == "feedback":
            batch.feedback.append(_loaded(content, name))
        elif kind not in ("post", "patch") or not run_id or (key and key not in _FIELDS):
            raise Refused(400, f"part {name!r} is not one of a run")
        elif key and (kind, run_id) not in runs:
            raise Refused(400, f"part {name!r} comes before its run")
        elif key:
            runs[kind, run_id][key] = _loaded(content, name)
        else:
            run = _loaded(content, name)
            if not isinstance(run, dict) or run.get("id") != run_id or (kind, run_id) in runs:
                raise Refused(400, f"part {name!r} is not a run of that id, or is there twice")
            runs[kind, run_id] = run
            (batch.post if kind == "post" else batch.patch).append(run)
    return batch


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    kind = _header("content-type", content_type)
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise Refused(415, f"content-type {content_type!r}")
    mark = b"--" + boundary.encode()
    at = len(mark)
    if not body.startswith(mark):
        raise Refused(400, "the body does not start with the boundary")
    while body[at : at + 2] == b"\r\n":
        end_of_head = body.find(b"\r\n\r\n", at)
        head = body[at + 2 : end_of_head].decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head)}
        start = end_of_head + 4
        # Its length, where it is told: what is in a part may look like a boundary.
        length = headers.get("content-length", "")
        end = start + int(length) if length.isdigit() else body.find(b"\r\n" + mark, start)
        after = end + 2 + len(mark)
        if min(end_of_head, end) < 0 or body[end:after] != b"\r\n" + mark:
            raise Refused(400, "a part does not end where it should")
        name = _header("content-disposition", headers.get("content-disposition", ""))
        found = name.get_param("name", header="content-disposition")
        if not isinstance(found, str):
            raise Refused(400, "a part has no name")
        yield found, body[start:end]
        at = after
    if body[at : at + 2] != b"--":
        raise Refused(400, "the body does not end with the boundary")


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message


def _loaded(content: bytes, name: str) -> Any:
    try:
        return orjson.loads(content)
    except ValueError as error:
        raise Refused(400, f"{name} is not JSON: {error}") from None


# -- the rules of a run


def _broken(run: Fields) -> list[str]:
    """Which rules a run breaks: a line each, which names the run."""
    which = f"run {run.get('id')} ({run.get('name')})"
    return [f"{which}: {rule}" for check in _CHECKS for rule in check(run)]


def _required(run: Fields) -> Iterator[str]:
    for name in ("name", "run_type", "session_name"):
        if not isinstance(run.get(name), str) or not run[name]:
            yield f"{name} is no text: {run.get(name)!r}"
    if run.get("run_type") not in RUN_TYPES:
        yield f"run_type {run.get('run_type')!r} is not one of {', '.join(RUN_TYPES)}"
    if run.get("session_id") is not None:
        yield "session_id is the id of a project, and has no place in a run"


def _times(run: Fields) -> Iterator[str]:
    start = _time(run.get("start_time"))
    if start is None:
        yield f"start_time is no ISO time: {run.get('start_time')!r}"
    if run.get("end_time") is None:
        return
    end = _time(run["end_time"])
    if end is None:
        yield f"end_time is no ISO time: {run['end_time']!r}"
    elif start is not None and end < start:
        yield f"end_time {run['end_time']} is before start_time {run['start_time']}"


def _ids(run: Fields) -> Iterator[str]:
    for name in ("id", "trace_id", "parent_run_id"):
        value = run.get(name)
        if name == "parent_run_id" and value is None:
            continue
        version = _uuid_version(value)
        if version is None:
            yield f"{name} is no UUID: {value!r}"
        elif version != 7:
            yield f"{name} is a UUID of version {version}, not 7: {value}"
    start = _time(run.get("start_time"))
    if _uuid_version(run.get("id")) == 7 and start is not None:
        yield from _embedded(str(run["id"]), start, "start_time")


def _embedded(run_id: str, moment: datetime, what: str) -> Iterator[str]:
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
    embedded = UUID(run_id).int >> 80
    if embedded != milliseconds:
        yield f"the time in id {run_id} is {embedded} ms, that of {what} {milliseconds} ms"


def _dotted_order(run: Fields) -> Iterator[str]:
    order = run.get("dotted_order")
    if not isinstance(order, str):
        yield f"dotted_order is no text: {order!r}"
        return
    segments: list[tuple[datetime, str]] = []
    for segment in order.split("."):
        found = _segment(segment)
        if found is None:
            yield f"dotted_order has the segment {segment!r}, not <YYYYMMDDTHHMMSSffffffZ><uuid>"
            return
        segments.append(found)
    yield from _ancestors(run, [run_id for _, run_id in segments])
    for (earlier, _), (later, run_id) in pairwise(segments):
        if later < earlier:
            yield f"dotted_order has {run_id} before its parent"
    start = _time(run.get("start_time"))
    if start is not None and abs(segments[-1][0] - start) > timedelta(microseconds=1):
        yield f"dotted_order ends with the time {segments[-1][0]}, start_time is {start}"


def _ancestors(run: Fields, ids: list[str]) -> Iterator[str]:
    if ids[0] != run.get("trace_id"):
        yield f"dotted_order starts with {ids[0]}, not with trace_id {run.get('trace_id')}"
    if ids[-1] != run.get("id"):
        yield f"dotted_order ends with {ids[-1]}, not with id {run.get('id')}"
    parent = run.get("parent_run_id")
    if parent is None and len(ids) > 1:
        yield f"dotted_order of a root has {len(ids)} segments"
    if parent is not None and (len(ids) < 2 or ids[-2] != parent):
        yield f"dotted_order does not have parent_run_id {parent} last but one"


def _contents(run: Fields) -> Iterator[str]:
    extra = run.get("extra")
    metadata = extra.get("metadata") if isinstance(extra, dict) else None
    objects = {name: run.get(name) for name in ("inputs", "outputs", "extra")}
    objects["extra.metadata"] = metadata
    for name, value in objects.items():
        if value is not None and not isinstance(value, dict):
            yield f"{name} is no JSON object: {value!r:.80}"
    if not isinstance(run.get("error"), str | None):
        yield f"error is no text: {run['error']!r:.80}"
    tags = run.get("tags")
    if not _is_list_of(tags, lambda tag: isinstance(tag, str)):
        yield f"tags is no list of texts: {tags!r:.80}"
    events = run.get("events")
    if not _is_list_of(events, _is_event):
        yield f"events is no list of {{name, time}}: {events!r:.80}"


def _is_list_of(value: Any, good: Callable[[Any], bool]) -> bool:
    return value is None or (isinstance(value, list) and all(good(item) for item in value))


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict) or not isinstance(event.get("name"), str):
        return False
    return _time(event.get("time")) is not None


def _usage_rules(run: Fields) -> Iterator[str]:
    usage = _usage(run)
    counts = {name: usage[name] for name in _TOTALS if usage.get(name) is not None}
    for name, count in counts.items():
        if not _is_count(count):
            yield f"usage_metadata.{name} is no count: {count!r}"
            return
    if usage and len(counts) == 3:
        parts, total = counts["input_tokens"] + counts["output_tokens"], counts["total_tokens"]
        if parts != total:
            yield f"usage_metadata: input and output are {parts}, the total is {total}"
    for name in _COSTS:
        if usage.get(name) is not None and not _is_cost(usage[name]):
            yield f"usage_metadata.{name} is no number: {usage[name]!r}"
            return
    for name, of in _DETAILS.items():
        yield from _details(usage, name, of)
    for name in usage.keys() - {*_TOTALS, *_COSTS, *_DETAILS}:
        yield f"usage_metadata.{name} is unknown"


def _details(usage: Fields, name: str, of: str) -> Iterator[str]:
    details = usage.get(name)
    if details is None:
        return
    if not isinstance(details, dict):
        yield f"usage_metadata.{name} is no JSON object: {details!r:.80}"
        return
    good = _is_cost if of.endswith("cost") else _is_count
    for part, amount in details.items():
        if not good(amount):
            yield f"usage_metadata.{name}.{part} is no amount: {amount!r}"
        elif amount > usage.get(of, 0):
            yield f"usage_metadata.{name}.{part} is {amount}, {of} is {usage.get(of)}"


_CHECKS: tuple[Callable[[Fields], Iterable[str]], ...] = (
    _required,
    _times,
    _ids,
    _dotted_order,
    _contents,
    _usage_rules,
)


def _leaks(run: Fields, api_key: str) -> Iterator[str]:
    extra = run.get("extra") or {}
    if "runtime" in extra:
        yield "extra.runtime describes the machine"
    for name in extra.get("metadata") or {}:
        if name == "revision_id" or name.startswith(_LEAKING):
            yield f"metadata {name} is of the environment"
    text = orjson.dumps({k: v for k, v in run.items() if k != "session_name"}).decode()
    if api_key in text:
        yield "the API key is in it"
    for name, value in os.environ.items():
        private = name.startswith(_LEAKING) and not name.endswith(_NO_SECRETS)
        # Shorter ones, as "true", are nobody's.
        if private and len(value) > 7 and value in text:
            yield f"the value of {name} is in it"


# -- whole traces


def _problems_of_traces(runs: list[Run]) -> Iterator[str]:
    traces: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        traces[run.trace_id].append(run)
    for trace, members in traces.items():
        by_id = {run.id: run for run in members}
        roots = [run.name for run in members if run.parent_run_id is None]
        if len(roots) != 1:
            yield f"trace {trace} has {len(roots)} roots: {roots}"
        for run in members:
            if run.parent_run_id is None:
                continue
            parent = by_id.get(run.parent_run_id)
            if parent is None:
                yield f"{run.name}: its parent {run.parent_run_id} never came"
            elif run.dotted_order.rpartition(".")[0] != parent.dotted_order:
                yield f"{run.name}: its dotted_order does not go on that of {parent.name}"
        projects = {run.project for run in members}
        if len(projects) > 1:
            yield f"trace {trace} is in {len(projects)} projects: {sorted(projects)}"
        yield from _threads(trace, members)


def _threads(trace: str, members: list[Run]) -> Iterator[str]:
    for key in _THREADS:
        said = {repr(run.metadata[key]) for run in members if key in run.metadata}
        without = [run.name for run in members if key not in run.metadata]
        if len(said) > 1:
            yield f"trace {trace} has {len(said)} values of metadata {key}: {sorted(said)}"
        if said and without:
            yield f"trace {trace}: no metadata {key} on {without}, but on others"


def _trees(runs: list[Run]) -> list[Run]:
    ids = {run.id for run in runs}
    below: dict[str | None, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.dotted_order.rpartition(".")[2], run.name)):
        below[run.parent_run_id if run.parent_run_id in ids else None].append(run)

    def grown(run: Run) -> Run:
        # A run's parent is part of its dotted_order, so that there are no circles.
        children = tuple(grown(child) for child in below[run.id])
        return Run(**{**vars(run), "children": children})

    return [grown(root) for root in below[None]]


# -- values


def _run(fields: Fields) -> Run:
    start = _time(fields["start_time"])
    assert start is not None
    return Run(
        id=fields["id"],
        trace_id=fields["trace_id"],
        parent_run_id=fields.get("parent_run_id"),
        dotted_order=fields["dotted_order"],
        name=fields["name"],
        run_type=fields["run_type"],
        project=fields["session_name"],
        start_time=start,
        end_time=_time(fields.get("end_time")),
        inputs=fields.get("inputs") or {},
        outputs=fields.get("outputs") or {},
        error=fields.get("error"),
        tags=tuple(fields.get("tags") or ()),
        metadata=(fields.get("extra") or {}).get("metadata") or {},
        events=tuple(fields.get("events") or ()),
        fields=fields,
    )


def _usage(run: Fields) -> Fields:
    extra = run.get("extra")
    metadata = extra.get("metadata") if isinstance(extra, dict) else None
    for holder in (run.get("outputs"), metadata):
        usage = holder.get("usage_metadata") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            return usage
    return {}


def _segment(text: str) -> tuple[datetime, str] | None:
    found = _SEGMENT.fullmatch(text)
    if found is None or _uuid_version(found[2]) is None:
        return None
    try:
        moment = datetime.strptime(found[1], _SEGMENT_TIME)
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc), found[2]


def _uuid_version(value: Any) -> int | None:
    try:
        parsed = UUID(value)
    except (ValueError, AttributeError, TypeError):
        return None
    return parsed.version if str(parsed) == value else None


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_cost(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value), "application/json")


_ABOUT = {
    "version": "0.12.0",
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "size_limit": MOST_RUNS,
        "size_limit_bytes": MOST_BYTES,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
    },
    "instance_flags": {"zstd_compression_enabled": True},
}
