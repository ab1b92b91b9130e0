"""The properties of planted secrets, with other values each time: `python -m tests.fuzz`.

    python -m tests.fuzz --minutes 10 [--only "at the cut"] [--seed 7]

Prints how many examples ran, what failed, each once, and what took longest to capture.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import Any

from hypothesis import Phase, given, seed, settings

from langflow_otel import guard
from langflow_otel.capture import Capture
from tests import test_planted_secrets as planted

EXAMPLES_A_ROUND = 40
SHOWN = 1500


class Fuzz:
    """Tries properties until the time is up."""

    def __init__(self, names: list[str], source: random.Random) -> None:
        self.names = names
        self.source = source
        self.examples: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.slowest: tuple[float, str, str] = (0.0, "", "")

    def run(self, until: float) -> None:
        while time.monotonic() < until:
            for name in self.source.sample(self.names, len(self.names)):
                if time.monotonic() >= until:
                    break
                self._round(name)

    def _round(self, name: str) -> None:
        strategy, check = planted.PROPERTIES[name]
        begun = time.monotonic()

        def timed(value: Any) -> None:
            self.examples[name] += 1
            check(value)

        how = settings(
            planted.some,
            max_examples=EXAMPLES_A_ROUND,
            phases=[Phase.generate] if self.failed[name] else [Phase.generate, Phase.shrink],
            print_blob=False,
        )
        try:
            seed(self.source.getrandbits(64))(how(given(strategy)(timed)))()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next one is tried
            self._failed(name, error, time.monotonic() - begun)

    def _failed(self, name: str, error: Exception, seconds: float) -> None:
        self.failed[name] += 1
        if self.failed[name] > 1:
            return
        print(f"FAILED {name}, after {seconds:.1f} s: {type(error).__name__}: {error}"[:SHOWN])
        print("\n".join(getattr(error, "__notes__", []))[:SHOWN])
        if not isinstance(error, AssertionError):
            traceback.print_exception(error, limit=-6, file=sys.stdout)
        print(flush=True)

    def watch(self) -> None:
        """Time every capture."""
        for method in ("text", "json"):
            self._watch(method, getattr(Capture, method))

    def _watch(self, method: str, function: Any) -> None:
        def milliseconds(itself: Capture, value: Any) -> tuple[float, Any]:
            begun = time.thread_time()
            captured = function(itself, value)
            return (time.thread_time() - begun) * 1000, captured

        def capture(itself: Capture, value: Any) -> Any:
            took, captured = milliseconds(itself, value)
            if took > self.slowest[0]:
                # Once more: the first time may have been the garbage collector's.
                took = min(took, milliseconds(itself, value)[0])
                if took > self.slowest[0]:
                    self.slowest = (took, f"{method}, {itself.max_bytes} bytes", _shown(value))
            return captured

        setattr(Capture, method, capture)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a value may raise whatever it likes
        return f"<{type(value).__name__}>"
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]} … {text[-SHOWN:]}"


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--only", default="", help="what is in the names of the properties tried")
    options.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    chosen = options.parse_args()
    names = [name for name in planted.PROPERTIES if chosen.only in name]
    guard.strict = True
    warnings.simplefilter("ignore")
    logging.getLogger("langflow_otel").propagate = False

    fuzz = Fuzz(names, random.Random(chosen.seed))
    fuzz.watch()
    print(f"{len(names)} properties, {chosen.minutes:g} minutes, seed {chosen.seed}\n", flush=True)
    fuzz.run(time.monotonic() + chosen.minutes * 60)

    took, how, value = fuzz.slowest
    print(f"{fuzz.examples.total()} examples of {len(fuzz.examples)} properties")
    print(f"{fuzz.failed.total()} failed rounds of {len(fuzz.failed)} properties:")
    for name, count in fuzz.failed.most_common():
        print(f"  {count:5}  {name} (of {fuzz.examples[name]} examples)")
    print(f"slowest capture: {took:.0f} ms of the processor ({how}) of\n  {value}")
    return 1 if fuzz.failed else 0


if __name__ == "__main__":
    sys.exit(main())
