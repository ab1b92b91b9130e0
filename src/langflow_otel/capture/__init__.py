"""Any Python value to bounded, masked text. Never raises, never consumes, never computes."""

from langflow_otel.capture.captured import Capture, Captured, label
from langflow_otel.capture.types import MASK, is_secret

__all__ = ["MASK", "Capture", "Captured", "is_secret", "label"]
