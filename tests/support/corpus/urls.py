"""Secrets inside URLs and connection strings."""

from __future__ import annotations

from tests.support.corpus.case import BASE32, HEX, Case, ends, fake, word

PW = word("url")
KEY = fake("in a query", 32)
SIGNATURE = fake("signature", 64, HEX)
SAS = fake("sas", 40)
GOOGLE = "AI" + "za" + fake("maps", 35)
AWS = "AK" + "IA" + fake("presigned", 16, BASE32)
GHS = "gh" + "s_" + fake("clone", 36)


def url(name: str, value: str, secrets: tuple[str, ...], *readable: str) -> Case:
    return Case(f"url-{name}", "url", value, secrets, readable)


def dsn(name: str, value: str, secrets: tuple[str, ...], *readable: str) -> Case:
    return Case(f"dsn-{name}", "dsn", value, secrets, readable)


URLS = [
    url("userinfo", f"https://ann:{PW}@api.example.com/v1", (PW,), "api.example.com/v1"),
    url(
        "userinfo-in-a-sentence",
        f"I fetched http://ann:{PW}@10.0.0.7:8080/feed, then stopped.",
        (PW,),
        "I fetched",
        "10.0.0.7:8080/feed",
        "then stopped.",
    ),
    url("userinfo-without-user", f"https://:{PW}@api.example.com/", (PW,), "api.example.com"),
    url(
        "userinfo-percent-encoded",
        f"https://ann%40example.com:{PW}%40%2F%3A{PW[::-1]}@api.example.com/v1",
        (PW, PW[::-1]),
        "api.example.com/v1",
    ),
    url(
        "git-clone",
        f"https://x-access-token:{GHS}@github.com/acme/flows.git",
        ends(GHS[4:]),
        "github.com/acme/flows.git",
    ),
    url(
        "token-as-user",
        f"https://{GHS}@github.com/acme/flows.git",
        ends(GHS[4:]),
        "github.com/acme/flows.git",
    ),
    url("query", f"https://api.example.com/v1?q=cats&api_key={KEY}", ends(KEY), "?q=cats&api_key="),
    url(
        "query-token-first",
        f"https://api.example.com/v1?access_token={KEY}&fields=id,name",
        ends(KEY),
        "access_token=",
        "fields=id,name",
    ),
    url(
        "query-camel",
        f"wss://stream.example.com/ws?apiKey={KEY}&channel=prices#top",
        ends(KEY),
        "stream.example.com/ws",
        "channel=prices",
    ),
    url(
        "query-google",
        f"https://maps.example.com/geocode?address=Oslo&key={GOOGLE}",
        ends(GOOGLE[4:]),
        "address=Oslo",
    ),
    url(
        "query-encoded-in-a-query",
        f"https://sso.example.com/in?next=https%3A%2F%2Fapp.example.com%2F%3Ftoken%3D{KEY}%26v%3D1",
        ends(KEY),
        "sso.example.com/in",
        "app.example.com",
    ),
    url(
        "fragment",
        f"https://app.example.com/cb#access_token={KEY}&token_type=bearer&expires_in=3600",
        ends(KEY),
        "app.example.com/cb",
        "expires_in=3600",
    ),
    url(
        "presigned-s3",
        "https://reports.s3.eu-north-1.amazonaws.com/q3.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={AWS}%2F20260101%2Feu-north-1%2Fs3%2Faws4_request"
        f"&X-Amz-Expires=3600&X-Amz-Security-Token={fake('sts', 80)}&X-Amz-Signature={SIGNATURE}",
        (AWS[4:], *ends(fake("sts", 80)), *ends(SIGNATURE)),
        "reports.s3.eu-north-1.amazonaws.com/q3.csv",
        "X-Amz-Expires=3600",
    ),
    url(
        "presigned-s3-version-2",
        f"https://reports.s3.amazonaws.com/q3.csv?AWSAccessKeyId={AWS}"
        f"&Signature={fake('v2', 26)}%3D&x-amz-security-token={fake('sts 2', 60)}"
        "&Expires=1795484517",
        (AWS[4:], *ends(fake("v2", 26)), *ends(fake("sts 2", 60))),
        "reports.s3.amazonaws.com/q3.csv",
        "Expires=1795484517",
    ),
    url(
        "presigned-gcs",
        "https://storage.googleapis.com/reports/q3.csv?X-Goog-Algorithm=GOOG4-RSA-SHA256"
        f"&X-Goog-Expires=900&X-Goog-Signature={SIGNATURE}",
        ends(SIGNATURE),
        "storage.googleapis.com/reports/q3.csv",
        "X-Goog-Expires=900",
    ),
    url(
        "azure-sas",
        "https://acme.blob.core.windows.net/reports/q3.csv?sv=2024-11-04&sp=r"
        f"&se=2026-01-01&sig={SAS}%3D",
        ends(SAS),
        "acme.blob.core.windows.net/reports/q3.csv",
        "se=2026-01-01",
    ),
    url(
        "scheme-relative",
        f"//ann:{PW}@registry.example.com/simple",
        (PW,),
        "registry.example.com/simple",
    ),
    Case(
        "url-in-a-list",
        "url",
        {"feeds": ["https://example.com/rss", f"https://feeds:{PW}@example.org/rss"]},
        (PW,),
        ("https://example.com/rss", "example.org/rss"),
    ),
    Case(
        "url-form-body",
        "url",
        f"grant_type=password&username=ann.berg&password={PW}&client_secret={KEY}&scope=files.read",
        (PW, *ends(KEY)),
        ("grant_type=password", "ann.berg", "scope=files.read"),
    ),
]

AT, SLASH, HASH = word("with at"), word("with slash"), word("with hash")
DSNS = [
    dsn("postgres", f"postgresql://app:{PW}@db7:5432/crm?sslmode=require", (PW,), "db7:5432/crm"),
    dsn(
        "postgres-driver", f"postgresql+asyncpg://app:{PW}@[::1]:5432/crm", (PW,), "[::1]:5432/crm"
    ),
    dsn(
        "postgres-password-in-query",
        f"postgresql://app@db7/crm?password={PW}&sslmode=require",
        (PW,),
        "db7/crm",
        "sslmode=require",
    ),
    dsn("postgres-at-sign-in-password", f"postgres://app:{AT}@{PW}@db7/crm", (AT, PW), "db7/crm"),
    dsn("postgres-slash-in-password", f"postgres://app:{SLASH}/{PW}@db7/crm", (SLASH, PW), "db7"),
    dsn("postgres-hash-in-password", f"postgres://app:{HASH}#{PW}?@db7/crm", (HASH, PW), "db7"),
    dsn("postgres-colon-in-password", f"postgres://app:{HASH}:{PW}@db7/crm", (HASH, PW), "db7/crm"),
    dsn(
        "mongodb-srv",
        f"mongodb+srv://app:{PW}@cluster0.ab12c.mongodb.net/?retryWrites=true&w=majority",
        (PW,),
        "cluster0.ab12c.mongodb.net",
        "w=majority",
    ),
    dsn("mongodb-set", f"mongodb://app:{PW}@m1:27017,m2:27017/crm", (PW,), "m1:27017,m2:27017/crm"),
    dsn("redis-without-user", f"rediss://:{PW}@cache:6380/0", (PW,), "cache:6380/0"),
    dsn("amqp", f"amqps://guest2:{PW}@queue.internal:5671/%2Fjobs", (PW,), "queue.internal:5671"),
    dsn(
        "snowflake",
        f"snowflake://app:{PW}@acme-xy12345/crm/public?warehouse=small",
        (PW,),
        "warehouse=small",
    ),
    dsn(
        "jdbc",
        f"jdbc:mysql://db7:3306/crm?user=app&password={PW}&useSSL=true",
        (PW,),
        "jdbc:mysql://db7:3306/crm",
        "useSSL=true",
    ),
    dsn(
        "jdbc-semicolons",
        f"jdbc:sqlserver://db7:1433;databaseName=crm;user=app;password={PW};encrypt=true",
        (PW,),
        "db7:1433",
        "encrypt=true",
    ),
    dsn(
        "ado",
        f"Server=tcp:db7,1433;Initial Catalog=crm;User ID=app;Password={PW};Encrypt=True;",
        (PW,),
        "Initial Catalog=crm",
        "Encrypt=True",
    ),
    dsn(
        "odbc",
        f"DRIVER={{ODBC Driver 18 for SQL Server}};SERVER=db7;UID=app;PWD={PW};Timeout=4711",
        (PW,),
        "ODBC Driver 18 for SQL Server",
        "Timeout=4711",
    ),
    dsn(
        "odbc-in-braces",
        f"Driver=PostgreSQL;Server=db7;Uid=app;Pwd={{{AT};{PW}}};Database=crm",
        (AT, PW),
        "Server=db7",
    ),
    dsn("oracle", f"oracle+oracledb://app:{PW}@db7:1521/?service_name=crm", (PW,), "db7:1521"),
    dsn(
        "libpq",
        f"host=db7 port=5432 user=app password='{AT} {PW}' dbname=crm",
        (AT, PW),
        "host=db7",
        "dbname=crm",
    ),
    dsn(
        "azure-storage",
        "DefaultEndpointsProtocol=https;AccountName=acme;"
        f"AccountKey={fake('account', 86)}==;EndpointSuffix=core.windows.net",
        ends(fake("account", 86)),
        "AccountName=acme",
        "EndpointSuffix=core.windows.net",
    ),
    dsn(
        "azure-service-bus",
        "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=reader;"
        f"SharedAccessKey={fake('bus', 43)}=;EntityPath=jobs",
        ends(fake("bus", 43)),
        "acme.servicebus.windows.net",
        "EntityPath=jobs",
    ),
    dsn(
        "sentry",
        f"https://{fake('sentry', 32, HEX)}@o4501.ingest.sentry.io/4502",
        ends(fake("sentry", 32, HEX)),
        "o4501.ingest.sentry.io/4502",
    ),
]

CASES = [*URLS, *DSNS]
