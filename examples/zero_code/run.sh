#!/bin/sh
# Runs flow.py traced, without a line of code: langflow-otel[langchain] and lfx are installed, and a
# Phoenix is where this says. Then open it in a browser.
set -eu
export PHOENIX_COLLECTOR_ENDPOINT="${PHOENIX_COLLECTOR_ENDPOINT:-http://localhost:6006}"

cd "$(dirname "$0")"
langflow-otel run -- lfx run flow.py "What is a trace?"
