"""Asks a Langflow server to run a flow, on some connections at once, for some seconds.

`python -m benchmarks.load <url> <key> <connections> <seconds>` prints, as JSON, how many
milliseconds each answer took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit


def _body(number: int) -> bytes:
    """Return a request that asks for what none has asked for before."""
    asked = f"hello, for the {number}. time"
    return json.dumps({"input_value": asked, "input_type": "chat", "output_type": "chat"}).encode()


async def load(url: str, key: str, connections: int, seconds: float) -> list[float]:
    """Return the milliseconds of each answer."""
    until = time.monotonic() + seconds
    each = await asyncio.gather(*(_ask(url, key, until) for _ in range(connections)))
    return [took for answers in each for took in answers]


async def _ask(url: str, key: str, until: float) -> list[float]:
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nx-api-key: {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    took = []
    while time.monotonic() < until:
        body = _body(time.monotonic_ns())
        begin = time.perf_counter()
        writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        await _read(reader)
        took.append((time.perf_counter() - begin) * 1000)
    writer.close()
    return took


async def _read(reader: asyncio.StreamReader) -> None:
    """Read an answer; one that is not what Langflow gives is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if not head.startswith("http/1.1 200"):
        raise RuntimeError(head)
    lengths = [line for line in head.split("\r\n") if line.startswith("content-length:")]
    await reader.readexactly(int(lengths[0].partition(":")[2]))


if __name__ == "__main__":
    address, api_key, at_once, for_seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(load(address, api_key, int(at_once), float(for_seconds)))))
