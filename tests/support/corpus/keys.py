"""Secrets that only their name gives away: dicts."""

from __future__ import annotations

from tests.support.corpus.case import HEX, Case, base64_of, ends, fake, word


def named(key: str, name: str, length: int = 32) -> Case:
    """A dict with one secret below that key, between two fields that are none."""
    value = fake(key, length)
    fields = {"host": "api.example.com", key: value, "timeout": 4711}
    return Case(f"dict-{name}", "dict", fields, ends(value), ("api.example.com", key, "4711"))


SPELLINGS = [
    named("api_key", "snake"),
    named("apiKey", "camel"),
    named("APIKey", "acronym"),
    named("apikey", "run-together"),
    named("API_KEY", "screaming"),
    named("api-key", "kebab"),
    named("API Key", "with-a-space"),
    named("x-api-key", "header-like"),
    named("openaiApiKey", "camel-with-provider"),
    named("AZURE_OPENAI_API_KEY", "screaming-with-provider"),
    named("api_key_2", "numbered"),
    named("accessToken", "access-token-camel"),
    named("refresh_token", "refresh-token"),
    named("ID-TOKEN", "id-token-kebab"),
    named("botToken", "bot-token"),
    named("authToken", "auth-token"),
    named("hf_token", "provider-token"),
    named("clientSecret", "client-secret-camel"),
    named("client_secret", "client-secret"),
    named("SECRET_KEY", "secret-key"),
    named("webhookSecret", "webhook-secret"),
    named("aws_secret_access_key", "aws-secret", 40),
    named("sessionKey", "session-key"),
    named("privateKey", "private-key"),
    named("db_passwd", "passwd", 12),
    named("userPassword", "password-camel", 12),
    named("PGPASSWORD", "password-run-together", 12),
    named("passphrase", "passphrase", 12),
    named("accountKey", "azure-account-key", 40),
    named("Ocp-Apim-Subscription-Key", "azure-subscription-key"),
]

DEEP, ADMIN, SMTP, ONE, TWO = (word(name) for name in ("deep", "admin", "smtp", "one", "two"))
PHRASE = "correct horse battery staple"
TEXTUAL = word("textual")
USER = fake("user", 40, HEX)

DICTS = [
    Case(
        "dict-nested",
        "dict",
        {"services": [{"name": "billing", "db": {"host": "db7", "auth": {"password": DEEP}}}]},
        (DEEP,),
        ("billing", "db7"),
    ),
    Case(
        "dict-credentials-as-a-dict",
        "dict",
        {"credentials": {"user": "svc-report", "pass": ADMIN}, "region": "eu-north-1"},
        (ADMIN,),
        ("eu-north-1",),
    ),
    Case(
        "dict-passwords-by-host",
        "dict",
        {"passwords": {"db.internal": DEEP, "mail.internal": SMTP}, "retries": 4711},
        (DEEP, SMTP),
        ("4711",),
    ),
    Case(
        "dict-list-of-api-keys",
        "dict",
        {"api_keys": [fake("first", 24), fake("second", 24)], "strategy": "round-robin"},
        (*ends(fake("first", 24)), *ends(fake("second", 24))),
        ("round-robin",),
    ),
    Case(
        "dict-password-with-spaces",
        "dict",
        {"username": "ann.berg", "password": PHRASE},
        ("horse", "battery staple"),
        ("ann.berg",),
    ),
    Case(
        "dict-password-of-digits",
        "dict",
        {"username": "ann.berg", "password": 90210457},
        ("90210457",),
        ("ann.berg",),
    ),
    Case(
        "dict-password-in-bytes",
        "dict",
        {"username": "ann.berg", "password": TEXTUAL.encode()},
        (TEXTUAL,),
        ("ann.berg",),
    ),
    Case(
        "dict-auth-pair",
        "dict",
        {"method": "GET", "url": "https://api.example.com/v1", "auth": ("ann.berg", SMTP)},
        (SMTP,),
        ("https://api.example.com/v1",),
    ),
    Case(
        "dict-key-that-is-a-secret-itself",
        "dict",
        {"gh" + "p_" + fake("key of a dict", 36): {"owner": "ann.berg", "calls": 4711}},
        ends(fake("key of a dict", 36)),
        ("ann.berg", "4711"),
    ),
    Case(
        "dict-oauth-response",
        "dict",
        {
            "access_token": fake("oauth access", 48),
            "refresh_token": fake("oauth refresh", 48),
            "token_type": "Bearer",
            "expires_in": 3599,
            "scope": "files.read",
        },
        (*ends(fake("oauth access", 48)), *ends(fake("oauth refresh", 48))),
        ("token_type", "3599", "files.read"),
    ),
    Case(
        "dict-connection-string",
        "dict",
        {"connectionString": f"Server=db7;Database=crm;User Id=app;Password={ONE}", "pool": 4711},
        (ONE,),
        ("4711",),
    ),
    Case(
        "dict-dsn-in-words",
        "dict",
        {"dsn": f"host=db7 user=app password={TWO} dbname=crm", "pool": 4711},
        (TWO,),
        ("4711",),
    ),
    Case(
        "dict-component-template",
        "dict",
        {
            "api_key": {
                "display_name": "Search API Key",
                "type": "str",
                "password": True,
                "load_from_db": False,
                "value": fake("template", 40),
            },
            "query": {"display_name": "Search Query", "type": "str", "value": "weather in Oslo"},
        },
        ends(fake("template", 40)),
        ("Search Query", "weather in Oslo"),
    ),
    Case(
        "dict-docker-auths",
        "dict",
        {"auths": {"registry.example.com": {"auth": base64_of(f"robot:{ADMIN}")}}},
        (base64_of(f"robot:{ADMIN}")[4:],),
        ("registry.example.com",),
    ),
]

CASES = [*SPELLINGS, *DICTS]
