"""Imported by every Python process that has this folder on its path; then the one behind it."""

import runpy
import sys
from pathlib import Path

import loop_guard_of_tests

loop_guard_of_tests.start()

_own = Path(__file__).resolve()
for _folder in sys.path:
    _other = Path(_folder, "sitecustomize.py").resolve()
    if _other != _own and _other.is_file():
        runpy.run_path(str(_other))
        break
