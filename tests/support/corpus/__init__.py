"""What flows carry that is secret, and what only looks like it, with a human's verdict.

id, place: a unique name, and where the value stands (dict, headers, rows, table, url, error, …).
value: as a flow carries it. Take it from `case.make()`: some are functions (lfx, pandas).
secrets: must not appear anywhere in what is captured. Long ones are given as their two ends, so
  that half a mask is no mask. None: the case is a look-alike.
readable: must still appear, or it's a false positive. No quotes and no line ends in them, so they
  can be looked for in JSON, too ("rue" is in both `true` and `True`).
source: of errors, the library that really said this (with other hosts and secrets, some cut short).
"""

from __future__ import annotations

from tests.support.corpus import (
    configs,
    errors,
    keys,
    lookalikes,
    objects,
    prose,
    rows,
    shapes,
    texts,
    urls,
    web_errors,
)
from tests.support.corpus.case import Case

CASES: list[Case] = [
    *keys.CASES,
    *rows.CASES,
    *objects.CASES,
    *urls.CASES,
    *shapes.CASES,
    *texts.CASES,
    *configs.CASES,
    *web_errors.CASES,
    *errors.CASES,
    *lookalikes.CASES,
    *prose.CASES,
]

__all__ = ["CASES", "Case"]
