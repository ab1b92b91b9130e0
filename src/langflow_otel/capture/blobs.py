"""Images, files and other binary data: named by type, size and hash instead of shown."""

import base64
import binascii
import hashlib
import re

#: Longer texts are looked at: whether they are base64.
LONG = 512
# What is hashed and looked into of a larger one: a hash of 10 MB holds the loop for 10 ms.
_HEAD = 12 * 1024
_HEAD_BASE64 = _HEAD // 3 * 4
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\r\n-]+={0,2}\s*", re.ASCII)
_TERMINATORS = ")\"'>] \n\\<,;&"
_LONGEST_LOOK = 1024 * 1024
_SAMPLE = 256
_SIGNATURES = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)


def note_of_bytes(data: bytes | bytearray | memoryview) -> str:
    """Return what is said of binary data: `<image/png 12.3 KB sha256:0123456789ab>`."""
    view = memoryview(data)
    if not view.contiguous:
        return f"<{type(data).__name__} {_size(view.nbytes)}>"
    view = view.cast("B") if view.nbytes else view
    return _note(None, view.nbytes, bytes(view[:_HEAD]))


def note_of_base64(text: str) -> str | None:
    """Return what is said of a text that is all base64, or all a data URL; None if it is not."""
    url = _DATA_URL.match(text)
    start = url.end() if url else 0
    if not url and not _looks_encoded(text):
        return None
    if url and not _BASE64.fullmatch(text, len(text) - min(_SAMPLE, len(text) - start)):
        return None
    head = text[start : start + _HEAD_BASE64]
    # Some encoders break lines; what that adds is reckoned from the head.
    breaks = (head.count("\n") + head.count("\r")) / max(len(head), 1)
    size = int((len(text) - start) * (1 - breaks) * 3 / 4) - text[-4:].count("=")
    return _note(url[1] if url else None, size, _decoded(head))


def without_data_urls(text: str, room: int) -> tuple[str, int]:
    """Return about `room` characters of `text`, with the data URLs in them named instead.

    Returns too how many characters are left over. The end of a data URL is looked for within
    1 MB; what comes after a longer one is left over.
    """
    parts: list[str] = []
    at = 0
    while room > 0 and at < len(text):
        url = _DATA_URL.search(text, at, at + room)
        if url is None:
            parts.append(text[at : at + room])
            at += room
            break
        end = _end_of(text, url.end())
        note = _note(
            url[1],
            _decoded_size(text[max(end - 4, 0) : end], end - url.end()),
            _decoded(text[url.end() : min(end, url.end() + _HEAD_BASE64)]),
            more=end - url.end() >= _LONGEST_LOOK,
        )
        parts += [text[at : url.start()], note]
        room -= url.start() - at + len(note)
        at = end
        if end - url.end() >= _LONGEST_LOOK:
            break
    return "".join(parts), max(len(text) - at, 0)


def _end_of(text: str, start: int) -> int:
    """Return where the base64 that begins at `start` ends, within 1 MB."""
    end = min(start + _LONGEST_LOOK, len(text))
    for character in _TERMINATORS:
        found = text.find(character, start, end)
        end = found if found >= 0 else end
    return end


def _decoded_size(tail: str, length: int) -> int:
    return length * 3 // 4 - tail.count("=")


def _looks_encoded(text: str) -> bool:
    """Tell base64 from other text, by its beginning, its end and its middle."""
    middle = len(text) // 2
    samples = (text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:])
    head = samples[0]
    mixed = head != head.lower() and head != head.upper() and any(c.isdigit() for c in head)
    return mixed and all(_BASE64.fullmatch(sample) for sample in samples)


def _decoded(text: str) -> bytes:
    clean = re.sub(r"[\r\n]", "", text).rstrip("=")
    clean = clean[: len(clean) // 4 * 4] if len(clean) % 4 == 1 else clean
    try:
        return base64.b64decode(
            (clean + "=" * (-len(clean) % 4)).replace("-", "+").replace("_", "/")
        )
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")


def _note(kind: str | None, size: int, head: bytes, *, more: bool = False) -> str:
    digest = hashlib.sha256(head, usedforsecurity=False).hexdigest()[:12]
    whole = len(head) >= size and not more
    of = "" if whole else f" of the first {_size(len(head))}"
    least = "at least " if more else ""
    return f"<{kind or _type_of(head)} {least}{_size(size)} sha256:{digest}{of}>"


def _type_of(head: bytes) -> str:
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], "video/avi")
    if head[4:8] == b"ftyp":
        return "video/mp4"
    return "bytes"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1000:.1f} KB"
    return f"{count / 1_000_000:.1f} MB"
