"""An HTTP session that sends a destination's own headers, and no other destination's."""

import os
from collections.abc import Mapping

import requests
from opentelemetry.util.re import parse_env_headers
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url

_SHARED_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")


class OwnHeaders(AuthBase):
    """Sets `headers` on each request, and takes off those meant for the plain OTLP endpoint.

    The OTLP exporter adds `OTEL_EXPORTER_OTLP_HEADERS`, often another vendor's key, to whatever
    endpoint it is given.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Send `headers`."""
        self._headers = dict(headers)
        self._foreign = [
            name
            for variable in _SHARED_HEADERS
            for name in parse_env_headers(os.environ.get(variable, ""), liberal=True)
        ]

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Settle the headers of `request`."""
        for name in self._foreign:
            request.headers.pop(name, None)
        # An authentication of our own keeps requests from using that of the address.
        user, password = get_auth_from_url(request.url or "")
        if user or password:
            HTTPBasicAuth(user, password)(request)
        request.headers.update(self._headers)
        return request


def session(headers: Mapping[str, str]) -> requests.Session:
    """Return a session that sends `headers` of its own, and no other destination's."""
    made = requests.Session()
    made.auth = OwnHeaders(headers)
    return made
