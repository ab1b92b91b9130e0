"""The secret values that were seen in a run, to be found wherever they come up again."""

import itertools
import os
import re
import threading
import weakref
from contextlib import suppress
from functools import lru_cache

from langflow_otel.capture.forms import SHORTEST, Forms, forms_of
from langflow_otel.capture.names import word_set
from langflow_otel.guard import logger

# So many values are remembered of one run, and among them so many that only a name told of.
_MAX_VALUES, _MAX_NAMED = 128, 32
_MAX_LENGTH, _MAX_SIZE = 4096, 16 * 1024
#: The shortest value that only a name told of, and that is looked for elsewhere.
SHORTEST_BY_NAME = 8
# What fields of secrets are filled with where no secret is wanted, and what people write about.
_ORDINARY = word_set(
    """
    api_key apikey bearer changeme default disabled enabled example hidden ignored lm-studio
    localhost missing no-key not-needed not_needed ollama optional password placeholder
    redacted required secret secrets string testing unused your-api-key **********
    """
)
_WORDS = re.compile(r"[A-Z]?[a-z]+(?:[ _][A-Za-z][a-z]*)*")
# So many finished runs are remembered for the exporters, which come later, with values of so many
# characters in all their forms.
_FINISHED_RUNS, _FINISHED_CHARACTERS = 1024, 32 << 20
# Of so many more it is remembered that they had some: of more than can wait for the exporters.
_FORGOTTEN_RUNS = 65_536


class RunSecrets:
    """The secret values seen in one trace; bounded, and safe to use from several threads."""

    #: Whether it is worth looking for some.
    wanted = True

    def __init__(self, trace_id: int = 0) -> None:
        """Know none of the trace `trace_id`, yet or any more."""
        self._trace_id = trace_id
        self._values: set[str] = set()
        self._named = 0
        #: Whether there are more than are remembered, so that not all are found elsewhere.
        self.overflowed = trace_id in _forgotten
        # Replaced, never changed, so that whoever reads it needs no lock.
        self._forms = Forms()
        self.renew()
        self._number = next(_numbers)
        # Of those that fields told of, and of those that only names did: they take no room of each
        # other, since anybody can write names.
        self._sizes = [0, 0]
        self._weight = 0

    def renew(self) -> None:
        """Hold no lock: at first, and in a forked process."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._values)

    def add(self, value: str) -> None:
        """Remember the value of a secret field, if it is long enough to be told from a word."""
        value = value.strip()
        if len(value) > _MAX_LENGTH:
            self.add_content(value)
        elif len(value) >= SHORTEST and value.lower() not in _ORDINARY:
            self._add(value, named=False)

    def add_named(self, value: str) -> None:
        """Remember what stood under a secret's name: that may be a word, which is no secret."""
        value = value.strip()
        if SHORTEST_BY_NAME <= len(value) <= _MAX_LENGTH and not _WORDS.fullmatch(value):
            self._add(value, named=True)

    def add_content(self, text: str) -> None:
        """Remember a text that is hidden, in pieces; `overflowed` where that is too much."""
        for at in range(0, min(len(text), _MAX_SIZE), _MAX_LENGTH):
            self.add(text[at : at + _MAX_LENGTH])
        self.overflowed = self.overflowed or len(text) > _MAX_SIZE

    def add_object(self, value: object) -> None:
        """Remember the value that a SecretStr, or the like, hides."""
        # Others' classes may ask a vault here; pydantic's only return what they hold.
        if any(base.__module__.partition(".")[0] == "pydantic" for base in type(value).__mro__):
            text = value.get_secret_value()  # type: ignore[attr-defined]
            self.add(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))

    def is_new(self, graph: object) -> bool:
        """Tell whether this is the first time that the secrets of `graph` are asked for."""
        if vars(graph).get(_READ_FOR) == self._number:
            return False
        vars(graph)[_READ_FOR] = self._number
        return True

    @property
    def longest(self) -> int:
        """The length of the longest form of a value, in characters."""
        return self._forms.longest

    def may_be_in(self, text: str, *, has_long_runs: bool) -> bool:
        """Tell whether a value stands in `text`, in whatever form.

        `has_long_runs` says whether 16 characters of keys come in a row anywhere in it.
        """
        return self._forms.may_be_in(text, has_long_runs=has_long_runs)

    def without(self, text: str) -> str:
        """Return `text` with every value masked, in whatever form it stands there."""
        return self._forms.without(text)

    def hide_error(self, error: BaseException) -> None:
        """Let nobody tell what `error` says."""
        # On itself: by its id another one would be hidden that is made in its place.
        with suppress(Exception):
            setattr(error, _HIDDEN, True)
        with suppress(Exception):
            self.add_content(str(error))

    def hides_error(self, error: BaseException) -> bool:
        """Tell whether what `error` says must not be told."""
        return getattr(error, _HIDDEN, False) is True

    def _add(self, value: str, *, named: bool) -> None:
        if value in self._values:
            return
        forms = forms_of(value)
        with self._lock:
            known, most = (self._named, _MAX_NAMED) if named else (len(self._values), _MAX_VALUES)
            size = self._sizes[named] + len(value)
            if known >= most or size > _MAX_SIZE:
                # What only a name told of may be no secret.
                self.overflowed = self.overflowed or not named
                _say_full()
                return
            self._named += named
            self._sizes[named] = size
            self._values.add(value)
            self._forms = self._forms.with_value(value)
            _remember(self, sum(len(form.text) for form in forms))


class NoSecrets(RunSecrets):
    """Remembers nothing: for what is captured outside of any run."""

    wanted = False

    def _add(self, value: str, *, named: bool) -> None:
        pass


_runs: "weakref.WeakValueDictionary[int, RunSecrets]" = weakref.WeakValueDictionary()
_finished: dict[int, RunSecrets] = {}
_finished_weight = 0
_forgotten: dict[int, None] = {}
_runs_lock = threading.Lock()
_numbers = itertools.count(1)
# What is known of a run that is forgotten.
_NOT_KNOWN = NoSecrets()
_NOT_KNOWN.overflowed = True
# On an error that a hidden component raised.
_HIDDEN = "_langflow_otel_hidden"
# On a graph: the number of the run that its secrets were read for.
_READ_FOR = "_langflow_otel_secrets"


def secrets_of(trace_id: int) -> RunSecrets:
    """Return the secrets of the trace `trace_id`; whoever holds them keeps them alive.

    A run that has any is remembered for a while after its end, for the exporters.
    """
    found = _runs.get(trace_id)
    if found is not None:
        return found
    with _runs_lock:
        return _runs.setdefault(trace_id, RunSecrets(trace_id))


def _remember(secrets: RunSecrets, more: int) -> None:
    """Keep `secrets`, which have so many characters `more`; those of the first runs go for them."""
    global _finished_weight  # noqa: PLW0603
    with _runs_lock:
        # What had been let go of weighs as a whole again.
        known = _finished.pop(secrets._number, None) is not None
        secrets._weight += more
        _finished[secrets._number] = secrets
        _finished_weight += more if known else secrets._weight
        while len(_finished) > 1 and (
            len(_finished) > _FINISHED_RUNS or _finished_weight > _FINISHED_CHARACTERS
        ):
            first = _finished.pop(next(iter(_finished)))
            _finished_weight -= first._weight
            _forgotten[first._trace_id] = None
            if len(_forgotten) > _FORGOTTEN_RUNS:
                del _forgotten[next(iter(_forgotten))]


def _renew() -> None:
    """Let go of what another thread held when this process was forked."""
    global _runs_lock  # noqa: PLW0603
    _runs_lock = threading.Lock()
    for secrets in list(_runs.values()):
        secrets.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def known_secrets(trace_id: int) -> RunSecrets | None:
    """Return the secrets of the trace `trace_id` if there are any.

    Of a trace whose secrets are not remembered any more, they are none and have `overflowed`.
    """
    found = _runs.get(trace_id)
    return _NOT_KNOWN if found is None and trace_id in _forgotten else found


@lru_cache(maxsize=1)
def _say_full() -> None:
    logger.warning(
        "langflow-otel: too many secrets in one run (more than %d, %d that only their names tell "
        "of, or %d characters); the others are masked where they stand only, and where they are "
        "more than names, what other instrumentors tell of the run shows no content (said once)",
        _MAX_VALUES,
        _MAX_NAMED,
        _MAX_SIZE,
    )
