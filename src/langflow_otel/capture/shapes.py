"""Secrets that can be told by what they look like, wherever they stand in a text.

Two ways in: `may_hold` looks fast, at all text, and may be wrong only in saying yes;
`without` looks closely, at the little text of which `may_hold` said yes.
"""

import base64
import binascii
import re
from collections.abc import Callable

MASK = "**********"

# Text that may be part of a key becomes "k", the rest a blank, so that a long key is one long run
# of "k", which is found at the speed of C.
_KEY_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/="
_MARKS = bytes(107 if byte in _KEY_CHARACTERS else 32 for byte in range(256))
RUN = 16
_RUN = b"k" * RUN
# What of a key may stand before the run: `SG.`, `ya29.`, a Telegram bot's number.
_BEFORE_RUN = 12
_LONGEST_PLACEHOLDER = 64
_PIECE = 4096

# The prefixes of the large providers' keys, as their documentation and GitHub's list of what
# secret scanning supports give them. What follows a prefix is long, so that a word is no key.
_PREFIXES = (
    r"sk-(?=[\w-]{0,64}[0-9]|[\w-]{32})[\w-]{16,}",  # OpenAI, Anthropic, OpenRouter, Langfuse, …
    r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"gh[oprsu]_[A-Za-z0-9]{16,}",
    r"github_pat_\w{20,}",
    r"gl(?:agent|cbt|dt|ft|imt|oas|pat|ptt|rt|soat)-[\w-]{16,}",
    r"(?:ABIA|AKIA|ASIA)[A-Z0-9]{12,}",
    r"AIza[\w-]{30,}",
    r"ya29\.[\w-]{16,}",
    r"GOCSPX-[\w-]{16,}",
    r"1//0[\w-]{20,}",
    r"xox[abeoprs](?:-|\.xox)[\w.-]{10,}",
    r"xapp-\d-[\w-]{10,}",
    r"(?:hf|gsk|csk|pcsk|ntn|npm|r8|fw|e2b|jina|glsa|sbp|figd|rnd|sntrys|sntryu|phx|ls_)_\w{16,}",
    r"(?:nvapi|pplx|xai|tvly|csk|fc|pypi|tskey|CFPAT|NRAK)-(?=[\w-]{0,64}[0-9])[\w-]{16,}",
    r"(?:apify_api|dckr_oat|dckr_pat|lin_api|lsv2_pt|lsv2_sk|tgp_v1)_[\w-]{16,}",
    r"do[opr]_v1_[a-f0-9]{16,}",
    r"secret_[A-Za-z0-9]{36,}",  # Notion, before `ntn_`
    r"hv[bsr]\.[\w-]{16,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
    r"dapi[a-f0-9]{32}(?:-\d)?",
    r"AT(?:ATT|CTT|STT)3[\w=-]{16,}",
    r"shp(?:at|ca|pa|ss|tka)_[A-Fa-f0-9]{16,}",
    r"pat-(?:eu|na)\d-[0-9a-f-]{30,}",
    r"key-[0-9a-f]{32}",  # Mailgun
    r"SK[0-9a-f]{32}",  # Twilio
    r"EAA[A-Za-z0-9]{40,}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
    r"sq0(?:atp|csp)-[\w-]{16,}",
    r"LS0tLS1CRUdJTi[\w+/=]{16,}",  # the beginning of a PEM block, in base64
    r"(?<![\w-])eyJ[\w-]{8,}\.(?:[\w-]{8,}|$)(?:\.[\w-]*){0,3}",  # a JWT
)
_KEYS = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_PREFIXES)})")
# None of them has a blank in it, and each is longer than most words.
_LONG_WORD = re.compile(rf"\S{{{RUN},}}")
_PATHS = re.compile(
    r"(?<!\d)(\d{8,10}:)AA[\w-]{30,}|"  # a Telegram bot's
    r"(/services/T[A-Z0-9]+/B[A-Z0-9]+/)\w{8,}"  # a webhook of Slack's
    r"|(/api/webhooks/\d+/)[\w-]{20,}"  # of Discord's
    r"|(/webhookb2/)[\w@/-]{20,}"  # of Teams'
)
# Of a run alone: what could be the beginning of one of the above.
_HINTS = re.compile(
    rb"(?:sk|gl\w{2,5}|nvapi|pplx|xai|tvly|csk|fc|pypi|tskey|CFPAT|NRAK|xox\w|xapp|GOCSPX|pat|key|KEY"
    rb"|sq0\w{3})-|(?:live|test|sec|gh[oprsu]|pat|hf|gsk|csk|ntn|npm|r8|fw|e2b|jina|glsa|sbp|figd"
    rb"|rnd|sntry[su]|phx|ls_|api|oat|pt|sk|v1|ret|shp\w{2,3})_|A(?:BIA|KIA|SIA|Iza|TATT|TCTT|TSTT)"
    rb"|ya29|1//0|hv[bsr]\.|SG\.|dapi|SK[0-9a-f]{8}|EAA|:AA|eyJ|LS0tLS1C|services/T|/webhooks/|webhookb2"
)
_PEM = "-----BEGIN"
_PEM_BLOCK = re.compile(
    r"(-----BEGIN [A-Z0-9 ]{1,40}-----).*?(?:-----END [A-Z0-9 ]*-----|\Z)", re.S
)
_SCHEMES = ("earer", "EARER", "asic ", "ASIC ")
# A line that ends after the word is no scheme.
_SCHEME = re.compile(r"([Bb](?<!\w[Bb])(?i:earer|asic))([ ]\s*|[^\S\r\n]+|%20)([\w.~+/-]{6,}=*)")
# `user:password@`: the password may hold an `@`, and even a `/` that nobody encoded; a port is
# none.
_USERINFO = re.compile(
    r"(//(?:(?<=://)|(?<![\w:/]//))[^\s/?#\"'<>:@]{0,128}:)"
    r"([^\s/?#\"'<>]{1,512}(?=@)|(?!\d{1,5}[/?#])[^\s\"'<>]{1,512}?(?=@[\w.-]+(?::\w*)?(?:[/?,:\s\"']|$)))"
)
# The same alone, as what `urlsplit` calls the netloc.
_NETLOC = re.compile(
    r"(?m)^((?!mailto:|sips?:|xmpp:|acct:)[^\s/:@\"']{1,128}:)([^\s/@\"']{1,512})(?=@[\w.-]+(?::\d+)?$)"
)
_USER_ALONE = re.compile(r"(://)([^\s/?#\"'<>:@]{16,512})@(?=[\w\[.-])")

# What stands for a value and is none.
_PLACEHOLDER = re.compile(
    r"(?i)[*•.x…_-]+|\$(?-i:[A-Z_][A-Z0-9_]*)|\$[a-z_]{1,40}|\$?\{\{?[\w .:|-]{1,48}\}?\}"
    r"|<[a-z _-]{1,40}>|%s|%(?-i:[A-Z_]+)%|%\(\w+\)s|\[[a-z -]{1,24}\]|your[-_ ][a-z _-]+"
    r"|none|null|nil|true|false|undefined|str|string|int|bool|bytes|any"
    r"|(?:optional|secretstr)\b[\w\[\]().| ]*"
    r"|os\.(?:environ|getenv)\b.*|env\.(?-i:[A-Z_]+)|\d{1,3}|required|redacted|masked|hidden|missing"
    r"|invalid|expired|empty|unset|n/a|bearer|basic|digest|negotiate|oauth2?|jwt|api[-_]?key|token"
)

Found = Callable[[str], None]


def is_placeholder(value: str) -> bool:
    """Tell what only stands for a secret: `{token}`, `$TOKEN`, `********`, `your-token`, `none`."""
    return len(value) <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(value) is not None


def runs_of(data: bytes) -> tuple[bytes, int]:
    """Return the marks of `data` and where the first run of 16 begins in them, -1 for nowhere."""
    marks = data.translate(_MARKS)
    return marks, marks.find(_RUN)


def long_runs(data: bytes) -> bytes:
    """Return what of `data` may be part of a long key: runs of 16 and more, blanks between."""
    marks, at = runs_of(data)
    runs = []
    while at >= 0:
        end = marks.find(b" ", at)
        runs.append(data[at:] if end < 0 else data[at:end])
        at = marks.find(_RUN, end) if end >= 0 else -1
    return b" ".join(runs)


def may_hold(text: str, data: bytes, marks: bytes, at: int) -> bool:
    """Tell whether `text` may hold a secret; `data` is it as UTF-8, `marks` and `at` its runs."""
    return (
        _may_hold_key(data, marks, at)
        or ("@" in text and ":" in text)
        or _may_hold_scheme(text)
        or _PEM in text
    )


def _may_hold_scheme(text: str) -> bool:
    return any(word in text for word in _SCHEMES)


def _may_hold_key(data: bytes, marks: bytes, at: int) -> bool:
    while at >= 0:
        end = marks.find(b" ", at)
        end = len(data) if end < 0 else end
        # In pieces: one search through a long image would not let another thread run.
        for start in range(at, end, _PIECE):
            if _HINTS.search(data, max(start - _BEFORE_RUN, 0), min(start + _PIECE, end)):
                return True
        at = marks.find(_RUN, end)
    return False


def without(text: str, found: Found) -> str:
    """Return `text` with the secrets in it masked; call `found` with what may stand alone."""
    if _PEM in text:
        text = _PEM_BLOCK.sub(rf"\1{MASK}", text)
    if "@" in text and ":" in text:
        text = _without_userinfo(text, found)
    if _may_hold_scheme(text):
        text = _SCHEME.sub(lambda match: _without_credentials(match, found), text)
    data = text.encode("utf-8", "replace")
    if _may_hold_key(data, *runs_of(data)):
        text = _LONG_WORD.sub(_without_keys, text)
    return text


def _without_keys(word: re.Match[str]) -> str:
    return _PATHS.sub(_masked_end, _KEYS.sub(MASK, word[0]))


def _masked_end(match: re.Match[str]) -> str:
    return "".join(filter(None, match.groups())) + MASK


def _without_userinfo(text: str, found: Found) -> str:
    def masked(match: re.Match[str]) -> str:
        if is_placeholder(match[2]):
            return match[0]
        found(match[2])
        return match[1] + MASK

    text = _NETLOC.sub(masked, _USERINFO.sub(masked, text))
    return _USER_ALONE.sub(rf"\1{MASK}@", text)


def _without_credentials(match: re.Match[str], found: Found) -> str:
    scheme, space, credentials = match.groups()
    if scheme.lower() == "basic":
        password = _basic_password(credentials)
        if password is None:
            return match[0]
        found(password)
    elif not _is_random(credentials):
        return match[0]
    found(credentials)
    return f"{scheme}{space}{MASK}"


def _basic_password(credentials: str) -> str | None:
    """Return the password of HTTP's Basic scheme, None for words that are no such thing."""
    try:
        decoded = base64.b64decode(credentials + "=" * (-len(credentials) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return None
    _, separator, password = decoded.partition(":")
    printable = all(character.isprintable() for character in decoded)
    return password if separator and printable else None


def _is_random(text: str) -> bool:
    """Tell a token from a word: it has a digit, or capitals inside, or parts."""
    if any(character.isdigit() for character in text):
        return True
    inside = text[1:]
    return len(text) >= RUN and (inside != inside.lower() or "." in inside or "_" in inside)
