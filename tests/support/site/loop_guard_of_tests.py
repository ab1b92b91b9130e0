"""Turns the loop guard of the tests on in a server that they start.

Python imports `sitecustomize`; under `opentelemetry-instrument`, which brings one of its own, that
calls the entry point of `opentelemetry_pre_instrument` instead.
"""

import importlib.util
import os
from pathlib import Path


def start() -> None:
    path = os.environ.get("LANGFLOW_OTEL_LOOP_GUARD")
    if not path:
        return
    source = Path(__file__).parent.parent / "loop_guard.py"
    spec = importlib.util.spec_from_file_location("loop_guard_of_tests_itself", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.watch_to_the_end(path)
