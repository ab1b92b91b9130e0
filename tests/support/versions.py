"""Which Langflow the tests run on, by its lfx: 0.2 to 0.4 are those of Langflow 1.7 to 1.9."""

from __future__ import annotations

import importlib.metadata

from packaging.version import Version

_LFX = Version(importlib.metadata.version("lfx"))


def before(version: str) -> bool:
    """Whether the lfx that is installed is older than that."""
    return Version(version) > _LFX
