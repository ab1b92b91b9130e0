"""A local server that speaks OpenAI's API, as strict as theirs, and remembers what it answered.

```
with OpenAIServer() as openai:
    ...  # OPENAI_BASE_URL and OPENAI_API_KEY as in openai.environment
    assert [call.usage.total for call in openai.calls] == [...]
```

It is a `Receiver`: `openai.faults.set(status(429))` and the like make it misbehave, `attempts` are
all requests that came, `rejected` those that OpenAI would refuse, and why.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any

from tests.support.faults import Cut, Reply
from tests.support.openai_answers import (
    Answer,
    Ask,
    Json,
    Usage,
    derived,
    usage_of,
)
from tests.support.openai_rules import (
    violation_of_chat,
    violation_of_embeddings,
    violation_of_responses,
)
from tests.support.openai_wire import (
    MODELS,
    Call,
    ask_of_chat,
    ask_of_responses,
    chat_completion,
    chat_events,
    embeddings,
    model_list,
    response,
    response_events,
)
from tests.support.receiver import Incoming, Receiver, Refused
from tests.support.secrets import planted

CHAT, RESPONSES, EMBEDDINGS = "chat", "responses", "embeddings"


class OpenAIServer(Receiver):
    """Answers on 127.0.0.1 while the context is open.

    Args:
        answer: what a model says to a request; see `derived`, which is the default.
        api_key: the only one it takes; default: one that can be searched for.
    """

    def __init__(
        self, answer: Callable[[Ask], Answer] = derived, *, api_key: str | None = None
    ) -> None:
        super().__init__()
        self.api_key = api_key or planted()
        self._answer = answer
        self._script: deque[Answer] = deque()
        self._calls: list[Call] = []
        self._numbers = itertools.count(1)

    @property
    def base_url(self) -> str:
        """As in OPENAI_BASE_URL.

        Not by the names that Langflow takes for the host of its container, which it then calls
        instead.
        """
        return f"{self.endpoint}/v1".replace("127.0.0.1", "127.1")

    @property
    def environment(self) -> dict[str, str]:
        """What makes Langflow, and whatever uses OpenAI's client, call this server."""
        return {
            "OPENAI_API_KEY": self.api_key,
            "OPENAI_BASE_URL": self.base_url,
            "LANGFLOW_SSRF_ALLOWED_HOSTS": "127.1,127.0.0.1",
            "NO_PROXY": "127.1,127.0.0.1,localhost",
            "no_proxy": "127.1,127.0.0.1,localhost",
        }

    @property
    def calls(self) -> list[Call]:
        """What was answered, in the order it came."""
        with self._changed:
            return list(self._calls)

    def script(self, *answers: Answer) -> None:
        """Answer the next requests with these, one each; then as before."""
        with self._changed:
            self._script.extend(answers)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._changed:
            super().clear()
            self._calls.clear()
            self._script.clear()

    def respond(self, request: Incoming) -> Reply:
        """Answer as OpenAI would."""
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            raise Refused(401, "incorrect API key provided")
        if request.method == "GET" and request.path == "/v1/models":
            return _json(model_list())
        handlers = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._responses,
            "/v1/embeddings": self._embeddings,
        }
        if request.path not in handlers:
            raise Refused(404, f"unknown request URL: {request.method} {request.path}")
        if request.method != "POST":
            raise Refused(405, "not allowed: only POST")
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise Refused(400, f"content-type {request.headers.get('content-type')!r}")
        started = time.time_ns()
        return handlers[request.path](request, _object(request.body("identity")), started)

    def items(self, request: Incoming) -> list[Any]:
        """Nothing: a request is one call."""
        return []

    def _chat(self, request: Incoming, body: Json, started: int) -> Reply:
        _refuse(violation_of_chat(body))
        ask = ask_of_chat(body)
        call = self._call(CHAT, request, body, ask, started)
        number = next(self._numbers)
        if call.answer.status != 200:
            return self._failed(call)
        if ask.stream:
            return self._streamed(call, chat_events(call, ask, number))
        return self._whole(call, chat_completion(call, number))

    def _responses(self, request: Incoming, body: Json, started: int) -> Reply:
        _refuse(violation_of_responses(body))
        ask = ask_of_responses(body)
        call = self._call(RESPONSES, request, body, ask, started)
        number = next(self._numbers)
        if call.answer.status != 200:
            return self._failed(call)
        whole = response(call, number)
        if ask.stream:
            return self._streamed(call, response_events(whole, call.answer))
        return self._whole(call, whole)

    def _embeddings(self, request: Incoming, body: Json, started: int) -> Reply:
        _refuse(violation_of_embeddings(body))
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        usage = Usage(sum(len(text.split()) for text in texts))
        call = self._keep(
            Call(
                EMBEDDINGS, body["model"], request.headers, body, tuple(texts), Answer(), usage,
                usage_told=True, streamed=False, started_ns=started,
            )
        )  # fmt: skip
        return self._whole(call, embeddings(call))

    def _call(self, kind: str, request: Incoming, body: Json, ask: Ask, started: int) -> Call:
        with self._changed:
            answer = self._script.popleft() if self._script else None
        answer = answer or self._answer(ask)
        call = Call(
            kind, MODELS.get(ask.model, ask.model), request.headers, body,
            tuple(message.text for message in ask.messages), answer, usage_of(ask, answer),
            usage_told=ask.include_usage and answer.cut_after is None and answer.status == 200,
            streamed=ask.stream, started_ns=started,
        )  # fmt: skip
        return self._keep(call)

    def _keep(self, call: Call) -> Call:
        with self._changed:
            self._calls.append(call)
        return call

    def _failed(self, call: Call) -> Reply:
        error = {"message": call.answer.text, "type": "server_error", "param": None, "code": None}
        return self._whole(call, {"error": error}, call.answer.status)

    def _whole(self, call: Call, body: Json, status: int = 200) -> Reply:
        time.sleep(call.answer.delay)
        call.ended_ns = time.time_ns()
        return _json(body, status)

    def _streamed(self, call: Call, events: Iterable[bytes]) -> Reply:
        def stream() -> Generator[bytes | float, None, None]:
            yield call.answer.delay
            for event in events:
                if call.sent == call.answer.cut_after:
                    raise Cut
                yield event
                call.sent += 1
                if call.answer.pause:
                    yield call.answer.pause
            call.ended_ns = time.time_ns()

        return Reply(200, content_type="text/event-stream; charset=utf-8", stream=stream())


def _object(body: bytes) -> Json:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"we could not parse the JSON body: {error}") from None
    if not isinstance(parsed, dict):
        raise Refused(400, "the body is no object")
    return parsed


def _refuse(violation: str) -> None:
    if violation:
        raise Refused(400, violation)


def _json(body: Json, status: int = 200) -> Reply:
    headers = {"x-request-id": "req_local"}
    return Reply(status, json.dumps(body).encode(), "application/json", headers)
