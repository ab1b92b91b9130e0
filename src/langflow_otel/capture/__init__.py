"""Any Python value to bounded, masked text. Never raises, never consumes, never computes."""

from langflow_otel.capture.captured import Capture, Captured, label
from langflow_otel.capture.content import ALL_CONTENT, NO_CONTENT, Content
from langflow_otel.capture.names import SecretNames
from langflow_otel.capture.secrets import RunSecrets, known_secrets, secrets_of
from langflow_otel.capture.shapes import MASK
from langflow_otel.capture.types import is_secret

__all__ = [
    "ALL_CONTENT",
    "MASK",
    "NO_CONTENT",
    "Capture",
    "Captured",
    "Content",
    "RunSecrets",
    "SecretNames",
    "is_secret",
    "known_secrets",
    "label",
    "secrets_of",
]
