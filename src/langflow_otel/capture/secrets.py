"""The secret values that were seen in a run, to be found wherever they come up again."""

import base64
import json
import re
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import orjson

from langflow_otel.capture.names import word_set
from langflow_otel.capture.shapes import MASK, RUN
from langflow_otel.guard import logger

# So many values are remembered of one run, and among them so many that only a name told of.
_MAX_VALUES, _MAX_NAMED = 128, 32
_MAX_LENGTH = 4096
#: The shortest value of a secret field, and the shortest of a key, that is looked for elsewhere.
SHORTEST, SHORTEST_BY_NAME = 6, 8
# What fields of secrets are filled with where no secret is wanted, and what people write about.
_ORDINARY = word_set(
    """
    api_key apikey bearer changeme default disabled enabled example hidden ignored lm-studio
    localhost missing no-key not-needed not_needed ollama optional password placeholder
    redacted required secret secrets string testing unused your-api-key **********
    """
)
_WORD = re.compile(r"[A-Z]?[a-z]+")
_LONG_RUN = re.compile(rf"[\w+/=-]{{{RUN}}}", re.ASCII)
# So many finished runs are remembered for the exporters, which come later.
_FINISHED_RUNS = 4096


class _Form(NamedTuple):
    """One way in which a value may be written; `long` if a long run of key characters is in it."""

    text: str
    long: bool


class RunSecrets:
    """The secret values seen in one trace; bounded, and safe to use from several threads."""

    #: Whether it is worth looking for some.
    wanted = True

    def __init__(self) -> None:
        """Know none."""
        self._values: set[str] = set()
        self._named = 0
        # Replaced, never changed, so that whoever reads it needs no lock.
        self._forms: tuple[_Form, ...] = ()
        self._lock = threading.Lock()
        self._graphs: set[int] = set()

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._values)

    def add(self, value: str) -> None:
        """Remember the value of a secret field, if it is long enough to be told from a word."""
        value = value.strip()[:_MAX_LENGTH]
        if len(value) >= SHORTEST and value.lower() not in _ORDINARY:
            self._add(value, named=False)

    def add_named(self, value: str) -> None:
        """Remember what stood under a secret's name: that may be a word, which is no secret."""
        value = value.strip()
        if SHORTEST_BY_NAME <= len(value) <= _MAX_LENGTH and not _WORD.fullmatch(value):
            self._add(value, named=True)

    def add_object(self, value: object) -> None:
        """Remember the value that a SecretStr, or the like, hides."""
        try:
            text = value.get_secret_value()  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 - it is whatever somebody called so
            return
        if isinstance(text, str):
            self.add(text)

    def is_new(self, graph: object) -> bool:
        """Tell whether this is the first time that the secrets of `graph` are asked for."""
        if id(graph) in self._graphs:
            return False
        self._graphs.add(id(graph))
        return True

    @property
    def longest(self) -> int:
        """The length of the longest form of a value, in characters."""
        return len(self._forms[0].text) if self._forms else 0

    def may_be_in(self, text: str, *, long_runs: bool) -> bool:
        """Tell whether a value stands in `text`, in whatever form.

        `long_runs` says whether 16 characters of keys come in a row anywhere in it.
        """
        return any(form.text in text for form in self._forms if long_runs or not form.long)

    def without(self, text: str) -> str:
        """Return `text` with every value masked, in whatever form it stands there."""
        for form in self._forms:
            if form.text in text:
                text = text.replace(form.text, MASK)
        return text

    def _add(self, value: str, *, named: bool) -> None:
        if value in self._values:
            return
        forms = _forms_of(value)
        with self._lock:
            if (self._named >= _MAX_NAMED) if named else (len(self._values) >= _MAX_VALUES):
                _say_full()
                return
            self._named += named
            if not self._values:
                _finished.append(self)
            self._values.add(value)
            # The longest first: one secret may be the beginning of another.
            known = {*self._forms, *forms}
            self._forms = tuple(sorted(known, key=lambda form: (-len(form.text), form.text)))


class NoSecrets(RunSecrets):
    """Remembers nothing: for what is captured outside of any run."""

    wanted = False

    def _add(self, value: str, *, named: bool) -> None:
        pass


_runs: "weakref.WeakValueDictionary[int, RunSecrets]" = weakref.WeakValueDictionary()
_finished: deque[RunSecrets] = deque(maxlen=_FINISHED_RUNS)


def secrets_of(trace_id: int) -> RunSecrets:
    """Return the secrets of the trace `trace_id`; whoever holds them keeps them alive.

    A run that has any is remembered for a while after its end, for the exporters.
    """
    found = _runs.get(trace_id)
    return _runs.setdefault(trace_id, RunSecrets()) if found is None else found


def known_secrets(trace_id: int) -> RunSecrets | None:
    """Return the secrets of the trace `trace_id` if there are any."""
    return _runs.get(trace_id)


@lru_cache(maxsize=1)
def _say_full() -> None:
    logger.warning(
        "langflow-otel: too many secrets in one run (more than %d, or %d that only their names "
        "tell of); the others are masked where they stand only (said once)",
        _MAX_VALUES,
        _MAX_NAMED,
    )


@lru_cache(maxsize=512)
def _forms_of(value: str) -> tuple[_Form, ...]:
    """Return the forms of `value`; the runs of a flow have the same secrets, mostly."""
    forms = dict.fromkeys(_written(value))
    return tuple(_Form(form, _LONG_RUN.search(form) is not None) for form in forms)


def _written(value: str) -> Iterable[str]:
    data = value.encode("utf-8", "replace")
    escaped = orjson.dumps(data.decode()).decode()[1:-1]
    yield value
    for form in (
        quote(data, safe=""),
        quote(data),
        quote_plus(data),
        escaped,
        json.dumps(value)[1:-1],
    ):
        yield form
        if "%" in form:
            yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form)
    for shift in range(3):
        # In base64 three bytes are four characters, so what a value becomes depends on where it
        # begins; the characters at its ends that its neighbours have a part in are left out.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + data).decode().rstrip("=")
            bits = (shift + len(data)) * 8
            inner = whole[(0, 2, 3)[shift] : bits // 6]
            if len(inner) >= SHORTEST:
                yield inner
