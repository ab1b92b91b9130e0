"""What HTTP libraries say when something goes wrong, with secrets in it, word for word."""

from __future__ import annotations

from tests.support.corpus.case import Case, base64_of, ends, fake, word

PW, OTHER = word("error"), word("error 2")
KEY = fake("error key", 32)
LONG = ends(KEY)
FACE = "h" + "f_" + fake("error face", 34)
BOT = fake("error bot", 10, "123456789"), "AA" + fake("error bot", 33)
BASIC = base64_of(f"ann:{PW}")
LOCAL = "127.0.0.1:33115"
MDN = "https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/401"
AGENT = "'Accept-Encoding': 'gzip, deflate', 'User-Agent': 'Python/3.12 aiohttp/3.14.5'"
REFUSED = (
    "(Caused by NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=52845): "
    'Failed to establish a new connection: [Errno 111] Connection refused"))'
)
PARSING = (
    "Input should be a valid integer, unable to parse string as an integer [type=int_parsing, "
)
MORE = "    For further information visit https://errors.pydantic.dev/2.13/v/"


def error(name: str, source: str, value: str, secrets: tuple[str, ...], *readable: str) -> Case:
    return Case(f"error-{name}", "error", value, secrets, readable, source)


CASES = [
    error(
        "httpx-status",
        "httpx 0.28 HTTPStatusError",
        f"Client error '401 Unauthorized' for url 'http://{LOCAL}/v1beta/models?api_key={KEY}'\n"
        f"For more information check: {MDN}",
        LONG,
        "401 Unauthorized",
        f"http://{LOCAL}/v1beta/models",
        MDN,
    ),
    error(
        "httpx-status-user",
        "httpx 0.28 HTTPStatusError",
        f"Client error '401 Unauthorized' for url 'http://svc:{PW}@{LOCAL}/v1beta/models'\n"
        f"For more information check: {MDN}",
        (PW,),
        "401 Unauthorized",
        f"{LOCAL}/v1beta/models",
    ),
    error(
        "httpx-header",
        "httpx 0.28 LocalProtocolError",
        f"Illegal header value b'Bearer {KEY}\\n'",
        LONG,
        "Illegal header value",
    ),
    error(
        "httpx-headers-repr",
        "httpx 0.28 repr(Headers)",
        f"Headers({{'authorization': '[secure]', 'x-api-key': '{KEY}', 'accept': 'text/html'}})",
        LONG,
        "x-api-key",
        "text/html",
    ),
    error(
        "requests-status",
        "requests 2.34 HTTPError",
        f"401 Client Error: Unauthorized for url: http://{LOCAL}/v1?api_key={KEY}&q=cats",
        LONG,
        "401 Client Error: Unauthorized for url",
        "q=cats",
    ),
    error(
        "requests-connection",
        "requests 2.34 ConnectionError",
        "HTTPConnectionPool(host='127.0.0.1', port=52845): Max retries exceeded with url: "
        f"/v1?api_key={KEY}&q=cats {REFUSED}",
        LONG,
        "Max retries exceeded with url: /v1?",
        "q=cats",
        "Connection refused",
    ),
    error(
        "requests-header",
        "requests 2.34 InvalidHeader",
        "Invalid leading whitespace, reserved character(s), or return character(s) in header "
        f"value: ' {FACE}'",
        ends(FACE[3:]),
        "Invalid leading whitespace",
    ),
    error(
        "requests-schema",
        "requests 2.34 MissingSchema",
        f"Invalid URL 'api.example.com/v1?token={KEY}': No scheme supplied. "
        f"Perhaps you meant https://api.example.com/v1?token={KEY}?",
        LONG,
        "No scheme supplied. Perhaps you meant",
    ),
    error(
        "requests-adapter",
        "requests 2.34 InvalidSchema",
        f"No connection adapters were found for 'ws://127.0.0.1/stream?token={KEY}'",
        LONG,
        "No connection adapters were found for",
        "ws://127.0.0.1/stream",
    ),
    error(
        "urllib3-telegram",
        "urllib3 2.8 MaxRetryError",
        "HTTPConnectionPool(host='127.0.0.1', port=52845): Max retries exceeded with url: "
        f"/bot{BOT[0]}:{BOT[1]}/getMe {REFUSED}",
        ends(BOT[1]),
        "Max retries exceeded with url",
        "getMe",
        "Connection refused",
    ),
    error(
        "http-client-control-characters",
        "http.client (Python 3.12) InvalidURL",
        f"URL can't contain control characters. '/x?token={KEY} y' (found at least ' ')",
        LONG,
        "contain control characters.",
        "found at least",
    ),
    error(
        "aiohttp-url",
        "aiohttp 3.14 InvalidUrlClientError",
        f"http://ann:{PW}/{OTHER}@api.example.com:x/",
        (PW, OTHER),
    ),
    error(
        "aiohttp-status-repr",
        "aiohttp 3.14 repr(ClientResponseError)",
        f"ClientResponseError(RequestInfo(url=URL('http://{LOCAL}/v1?token={KEY}'), method='GET', "
        f"headers=<CIMultiDictProxy('Host': '{LOCAL}', 'Authorization': 'Bearer {KEY}', "
        f"'Accept': '*/*', {AGENT})>, real_url=URL('http://{LOCAL}/v1?token={KEY}')), (), "
        "status=401, message='Unauthorized')",
        LONG,
        "Python/3.12 aiohttp/3.14.5",
        "status=401",
    ),
    error(
        "websockets-uri",
        "websockets 15.0 InvalidURI",
        f"http://ann:{PW}@api.example.com/x isn't a valid URI: scheme isn't ws or wss",
        (PW,),
        "api.example.com/x",
        "a valid URI: scheme",
    ),
    error(
        "boto-endpoint",
        "botocore 1.43 EndpointConnectionError",
        f'Could not connect to the endpoint URL: "http://ann:{PW}@127.0.0.1:52845/"',
        (PW,),
        "Could not connect to the endpoint URL",
        "127.0.0.1:52845",
    ),
    error(
        "openai-echo",
        "openai 2.54 AuthenticationError, of a server that sends the request back",
        "Error code: 401 - {'detail': 'bad credentials', 'headers': {'Host': "
        f"'{LOCAL}', 'Authorization': 'Bearer {KEY}', 'Accept': 'application/json'}}}}",
        LONG,
        "Error code: 401",
        "bad credentials",
        "application/json",
    ),
    error(
        "curl-verbose",
        "curl 7.88 -v",
        "* Server auth using Basic with user 'ann'\n"
        f"> GET /v1?api_key={KEY}&limit=4711 HTTP/1.1\n> Host: {LOCAL}\n"
        f"> Authorization: Basic {BASIC}\n> User-Agent: curl/7.88.1\n> X-Api-Key: {KEY}\n> \n"
        "< HTTP/1.0 401 Unauthorized\n",
        (*LONG, *ends(BASIC)),
        f"Host: {LOCAL}",
        "User-Agent: curl/7.88.1",
        "401 Unauthorized",
    ),
]
