"""Tests of langflow-otel."""
