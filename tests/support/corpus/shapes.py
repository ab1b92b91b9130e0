"""Keys of large providers, in places where only their shape gives them away."""

from __future__ import annotations

from tests.support.corpus.case import (
    BASE32,
    DIGITS,
    HEX,
    Case,
    base64_of,
    ends,
    fake,
    jwt,
    pem,
    word,
)

# Sentences with no word in them that would name a secret.
SENTENCES = (
    "Please use {} for the demo on Friday.",
    "The model answered: {}, and stopped.",
    "line 7 ({}) was not expected",
    "see `{}` in the notes",
    "old={} new=none",
    "- {}\n- and a second line",
    '["one", "{}", "two"]',
    "I got <{}> back, is this right?",
)
LEFT = (
    ("Please use", "for the demo on Friday."),
    ("The model answered", "and stopped."),
    ("line 7", "was not expected"),
    ("see", "in the notes"),
    ("new=none",),
    ("and a second line",),
    ("one", "two"),
    ("I got", "back, is this right?"),
)


def hexa(name: str, length: int = 32) -> str:
    return fake(name, length, HEX)


def uuid(name: str) -> str:
    text = hexa(name)
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


A = fake
# An id, the prefix in two pieces, and what comes after it.
KEYS: list[tuple[str, str, str]] = [
    ("openai", "s" + "k-", A("openai 1", 20) + "T3Blbk" + "FJ" + A("openai 2", 20)),
    ("openai-project", "s" + "k-proj-", A("proj 1", 40) + "_" + A("proj 2", 40) + "-" + A("p", 30)),
    ("openai-service-account", "s" + "k-svcacct-", A("svc 1", 44) + "_" + A("svc 2", 50)),
    ("anthropic", "s" + "k-ant-api03-", A("ant 1", 46) + "-" + A("ant 2", 46) + "AA"),
    ("openrouter", "s" + "k-or-v1-", hexa("openrouter", 64)),
    ("deepseek", "s" + "k-", hexa("deepseek")),
    ("langflow", "s" + "k-", A("langflow 1", 21) + "_" + A("langflow 2", 21)),
    ("langfuse", "s" + "k-lf-", uuid("langfuse")),
    ("langsmith", "ls" + "v2_pt_", hexa("langsmith") + "_" + hexa("langsmith 2", 10)),
    ("github-classic", "gh" + "p_", A("ghp", 36)),
    ("github-oauth", "gh" + "o_", A("gho", 36)),
    ("github-fine-grained", "github" + "_pat_", A("pat 1", 22) + "_" + A("pat 2", 59)),
    ("gitlab", "gl" + "pat-", A("gitlab 1", 9) + "-" + A("gitlab 2", 10)),
    ("aws-access-key", "AK" + "IA", A("aws", 16, BASE32)),
    ("aws-temporary-key", "AS" + "IA", A("asia", 16, BASE32)),
    ("google-api", "AI" + "za", "Sy" + A("google 1", 16) + "-" + A("google 2", 16)),
    ("google-oauth", "ya" + "29.", "a0" + A("ya29 1", 60) + "_" + A("ya29 2", 60)),
    ("google-client", "GOC" + "SPX-", A("gocspx", 28)),
    ("slack-bot", "xo" + "xb-", f"{A('x1', 12, DIGITS)}-{A('x2', 13, DIGITS)}-{A('x3', 24)}"),
    ("slack-user", "xo" + "xp-", f"{A('x4', 12, DIGITS)}-{A('x5', 12, DIGITS)}-{hexa('x6')}"),
    ("slack-app", "xa" + "pp-1-A", f"{A('x7', 10, BASE32)}-{A('x8', 13, DIGITS)}-{hexa('x9', 64)}"),
    ("stripe-live", "sk" + "_live_", A("stripe", 99)),
    ("stripe-test", "sk" + "_test_", A("stripe test", 24)),
    ("stripe-restricted", "rk" + "_live_", A("stripe restricted", 24)),
    ("stripe-webhook", "wh" + "sec_", A("whsec", 32)),
    ("hugging-face", "h" + "f_", A("hugging face", 34)),
    ("groq", "gs" + "k_", A("groq", 52)),
    ("pinecone", "pc" + "sk_", A("pc 1", 6) + "_" + A("pc 2", 63)),
    ("nvidia", "nv" + "api-", A("nv 1", 30) + "-" + A("nv 2", 33)),
    ("replicate", "r8" + "_", A("replicate", 37)),
    ("tavily", "tv" + "ly-dev-", A("tavily", 32)),
    ("perplexity", "pp" + "lx-", A("perplexity", 48)),
    ("xai", "xa" + "i-", A("xai", 80)),
    ("sendgrid", "S" + "G.", A("sg 1", 22) + "." + A("sg 2", 43)),
    ("npm", "np" + "m_", A("npm", 36)),
    ("pypi", "py" + "pi-", "AgEI" + "cHlwaS5vcmc" + A("pypi", 100)),
    ("digitalocean", "do" + "p_v1_", hexa("digitalocean", 64)),
    ("vault", "hv" + "s.", "CAES" + "I" + A("vault", 90)),
    ("notion", "nt" + "n_", A("ntn", 11, DIGITS) + A("notion", 35)),
    ("databricks", "da" + "pi", hexa("databricks")),
    ("shopify", "shp" + "at_", hexa("shopify")),
    ("atlassian", "ATA" + "TT3", "xFfG" + "F0" + A("at 1", 90) + "_" + A("at 2", 80) + "=1A2B3C4D"),
    ("mailgun", "ke" + "y-", hexa("mailgun")),
    ("docker-hub", "dc" + "kr_pat_", A("docker", 27)),
    ("grafana", "gl" + "sa_", A("grafana", 32) + "_" + hexa("grafana 2", 8)),
    ("linear", "lin" + "_api_", A("linear", 40)),
]


def by_shape(number: int, name: str, prefix: str, body: str) -> Case:
    number %= len(SENTENCES)
    text = SENTENCES[number].format(prefix + body)
    return Case(f"shape-{name}", "text", text, ends(body), LEFT[number])


JWT, JWT_PARTS = jwt("shape")
KEY, KEY_LINES = pem("rsa", "RSA PRIVATE KEY")
OPENSSH, OPENSSH_LINES = pem("ssh", "OPENSSH PRIVATE KEY")
BEARER = fake("bearer 1", 18) + "." + fake("bearer 2", 18) + "-_" + fake("bearer 3", 8)
BASIC = base64_of(f"ann.berg:{word('basic')}")
BOT = fake("bot id", 10, "123456789"), "AA" + fake("bot 1", 17) + "-" + fake("bot 2", 15)
HOOK = fake("discord 1", 40) + "-" + fake("discord 2", 27)
SLACK = fake("slack hook", 24)
STRIPE = "sk" + "_live_" + fake("in a dict", 24)

OTHERS = [
    Case(
        "shape-jwt", "text", f"The cookie was {JWT} when I looked.", JWT_PARTS, ("when I looked",)
    ),
    Case("shape-jwt-as-a-field", "dict", {"result": JWT, "n": 4711}, JWT_PARTS, ("4711",)),
    Case(
        "shape-pem",
        "text",
        f"This is the file:\n{KEY}and that's all.",
        KEY_LINES,
        ("This is the file", "all."),
    ),
    Case(
        "shape-pem-in-one-line",
        "text",
        "ssh: " + OPENSSH.strip().replace("\n", "\\n") + " end of file",
        OPENSSH_LINES,
        ("end of file",),
    ),
    Case(
        "shape-pem-cut-off",
        "text",
        "tail of the log\n" + "\n".join(KEY.splitlines()[:3]),
        KEY_LINES[:2],
        ("tail of the log",),
    ),
    Case(
        "shape-bearer",
        "text",
        f"I sent Bearer {BEARER} and got a 403",
        (*ends(BEARER),),
        ("I sent", "and got a 403"),
    ),
    Case("shape-bearer-lower-case", "text", f"bearer {BEARER}", ends(BEARER)),
    Case(
        "shape-bearer-percent-encoded",
        "url",
        f"https://api.example.com/ws?protocol=Bearer%20{BEARER}&room=lobby",
        ends(BEARER),
        ("api.example.com/ws", "room=lobby"),
    ),
    Case(
        "shape-bearer-below-a-harmless-name",
        "dict",
        {"prefix": f"Bearer {BEARER}", "room": "lobby"},
        ends(BEARER),
        ("prefix", "lobby"),
    ),
    Case("shape-basic", "text", f"it was 'Basic {BASIC}' again", ends(BASIC), ("it was", "again")),
    Case(
        "shape-slack-webhook",
        "text",
        "Post to https://hooks." + f"slack.com/services/T{A('t', 10, BASE32)}/B0AB12CD34/{SLACK} !",
        ends(SLACK),
        ("Post to",),
    ),
    Case(
        "shape-discord-webhook",
        "url",
        "https://discord." + f"com/api/webhooks/{fake('hook id', 18, '123456789')}/{HOOK}",
        ends(HOOK),
    ),
    Case(
        "shape-telegram",
        "url",
        f"https://api.telegram.org/bot{BOT[0]}:{BOT[1]}/sendMessage?chat_id=4711",
        ends(BOT[1]),
        ("api.telegram.org", "chat_id=4711"),
    ),
    Case(
        "shape-telegram-alone",
        "text",
        f"BotFather says: use {BOT[0]}:{BOT[1]} from now on",
        ends(BOT[1]),
        ("BotFather says", "from now on"),
    ),
    Case(
        "shape-twilio-key",
        "dict",
        {"username": "S" + "K" + hexa("twilio"), "region": "ie1"},
        ends(hexa("twilio")),
        ("ie1",),
    ),
    Case(
        "shape-in-a-set",
        "list",
        {"ann.berg", STRIPE},
        ends(STRIPE[8:]),
        ("ann.berg",),
    ),
    Case(
        "shape-in-a-deep-list",
        "list",
        [[["lobby", [{"x": [f"<b>{STRIPE}</b>"]}]]]],
        ends(STRIPE[8:]),
        ("lobby",),
    ),
    Case(
        "shape-after-an-umlaut-and-chinese",
        "text",
        f"für die Prüfung\uff1a{STRIPE}。謝謝",
        ends(STRIPE[8:]),
        ("für die Prüfung", "謝謝"),
    ),
    Case(
        "shape-in-a-path",
        "url",
        f"https://files.example.com/{'gh' + 'p_' + fake('path', 36)}/report.csv",
        ends(fake("path", 36)),
        ("files.example.com", "report.csv"),
    ),
    Case(
        "shape-two-in-a-line",
        "text",
        f"{'gs' + 'k_' + fake('line 1', 52)},{'h' + 'f_' + fake('line 2', 34)};lobby",
        (*ends(fake("line 1", 52)), *ends(fake("line 2", 34))),
        ("lobby",),
    ),
    Case(
        "shape-repeated",
        "text",
        f"{STRIPE} {STRIPE}\n{STRIPE}",
        ends(STRIPE[8:]),
    ),
    Case(
        "shape-azure-signature-in-prose",
        "text",
        f"append sp=r&sig={fake('sig', 43)}%3D to it, please",
        ends(fake("sig", 43)),
        ("append", "to it, please"),
    ),
]

CASES = [*(by_shape(number, *key) for number, key in enumerate(KEYS)), *OTHERS]
