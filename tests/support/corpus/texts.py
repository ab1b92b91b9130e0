"""Secrets inside texts: prose, code, dumps of requests, and JSON and Python literals in strings."""

from __future__ import annotations

import json

from tests.support.corpus.case import HEX, Case, base64_of, ends, fake, word

PW, OTHER = word("text"), word("text 2")
KEY, TOKEN = fake("text key", 32), fake("text token", 40)
LONG, SHORT = ends(KEY), ends(TOKEN)
BASIC = base64_of(f"ann.berg:{PW}")
BOTH = {"user": "ann.berg", "password": PW, "apiKey": KEY, "note": "opening hours"}


def text(
    name: str, value: str, secrets: tuple[str, ...], *readable: str, place: str = "text"
) -> Case:
    return Case(f"{place.replace(' ', '-')}-{name}", place, value, secrets, readable)


TEXTS = [
    text(
        "key-equals", f"Run it with api_key={KEY} and tell me", LONG, "Run it with", "and tell me"
    ),
    text("key-colon", f"api-key: {KEY}\nregion: eu-north-1", LONG, "api-key", "region: eu-north-1"),
    text(
        "key-with-a-space",
        f"Our API key: {KEY}\nOur region: Oslo",
        LONG,
        "Our API key",
        "Our region: Oslo",
    ),
    text("spaces-around", f"PASSWORD = {PW}\nHOST = db7", (PW,), "PASSWORD", "HOST = db7"),
    text("quoted", f"set client_secret='{KEY}', then wait", LONG, "client_secret", "then wait"),
    text(
        "quoted-phrase",
        f'user=ann password="{PW} over the {OTHER}" host=db7',
        (PW, OTHER),
        "host=db7",
    ),
    text("markdown-bold", f"**User:** ann\n**Password:** {PW}\n", (PW,), "**User:** ann"),
    text("markdown-code", f"The `token` is: `token={TOKEN}`.", SHORT, "The", "is:"),
    text(
        "markdown-table-row",
        f"| setting | value |\n| --- | --- |\n| api_key | {KEY} |\n| region | Oslo |",
        LONG,
        "| region | Oslo |",
    ),
    text(
        "markdown-table-column",
        f"| service | api_key |\n|:--|:--|\n| search | {KEY} |\n| maps | {TOKEN} |",
        (*LONG, *SHORT),
        "| service | api_key |",
        "search",
        "maps",
    ),
    text("csv", f"service,password,region\nsearch,{PW},Oslo\n", (PW,), "service,password,region"),
    text(
        "headers-dump",
        "GET /v1/items?limit=5 HTTP/1.1\r\nHost: api.example.com\r\n"
        f"Authorization: Basic {BASIC}\r\nX-Api-Key: {KEY}\r\nAccept: application/json\r\n\r\n",
        (*ends(BASIC), *LONG),
        "GET /v1/items?limit=5 HTTP/1.1",
        "Host: api.example.com",
        "Accept: application/json",
    ),
    text(
        "headers-digest",
        'Authorization: Digest username="ann", realm="x", nonce="1a2b", '
        f'response="{fake("d", 32, HEX)}"\nAccept: text/html',
        ends(fake("d", 32, HEX)),
        "Accept: text/html",
    ),
    text(
        "headers-aws",
        f"Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/s3, SignedHeaders=host, "
        f"Signature={fake('aws4', 64, HEX)}\nHost: s3.example.com",
        ends(fake("aws4", 64, HEX)),
        "Host: s3.example.com",
    ),
    text(
        "set-cookie",
        f"HTTP/1.1 200 OK\nSet-Cookie: session={TOKEN}; Path=/; HttpOnly\nContent-Length: 4711",
        SHORT,
        "HTTP/1.1 200 OK",
        "Content-Length: 4711",
    ),
    text(
        "cookie-of-two",
        f"> Cookie: theme=dark; sid={TOKEN}; remember={KEY}\n> Accept: text/html",
        (*SHORT, *LONG),
        "> Accept: text/html",
    ),
    text(
        "multipart-form",
        f'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{PW}\r\n--x--\r\n',
        (PW,),
        "Content-Disposition: form-data",
    ),
    text(
        "html-input",
        f'<input type="text" name="city" value="Oslo"><input name="csrf_token" value="{TOKEN}">',
        SHORT,
        "Oslo",
    ),
    text("xml", f"<login><user>ann</user><password>{PW}</password></login>", (PW,), "ann"),
    text(
        "sql-user",
        f"CREATE USER app WITH LOGIN PASSWORD '{PW}' VALID UNTIL '2027-01-01'",
        (PW,),
        "CREATE USER app WITH LOGIN",
    ),
    text("sql-mysql", f"ALTER USER 'app'@'%' IDENTIFIED BY '{PW}';", (PW,), "ALTER USER"),
    text(
        "norwegian",
        f"Hei! Her er nøkkelen du ba om: api_key={KEY}, hilsen Åse",
        LONG,
        "Her er nøkkelen du ba om",
        "hilsen Åse",
    ),
    text("chinese", f"请使用 api_key={KEY} 访问接口", LONG, "请使用", "访问接口"),
    text("chinese-colon", f"password\uff1a{PW}\n城市\uff1a奥斯陆", (PW,), "城市\uff1a奥斯陆"),
]

CODE = [
    ("openai", f'client = OpenAI(api_key="{TOKEN}", timeout=4711)', SHORT, "timeout=4711"),
    ("assignment", f'DB_PASSWORD = "{PW}"  # for tests\nPORT = 4711', (PW,), "PORT = 4711"),
    ("annotated", f'token: str = "{TOKEN}"\nport: int = 4711', SHORT, "port: int = 4711"),
    ("environment", f'os.environ["API_TOKEN"] = "{TOKEN}"', SHORT, "os.environ"),
    ("auth-pair", f'requests.get(url, auth=("ann.berg", "{PW}"), timeout=47)', (PW,), "timeout=47"),
    ("javascript", f"const apiKey = '{TOKEN}';\nconst port = 4711;", SHORT, "const port = 4711"),
    ("js-headers", f"fetch(url, {{headers: {{'x-api-key': '{KEY}'}}}})", LONG, "fetch(url"),
    ("fernet", f"Fernet(secret_key=b'{TOKEN}').encrypt(text)", SHORT, "encrypt(text)"),
    ("curl-header", f'curl -s https://x.example.com -H "X-Api-Key: {KEY}"', LONG, "x.example.com"),
    ("curl-user", f"curl -u ann.berg:{PW} https://x.example.com/v1", (PW,), "x.example.com/v1"),
    ("option", f"mytool --password {PW} --host db7", (PW,), "--host db7"),
    ("option-alone", f"--password {PW} --host db7", (PW,), "--host db7"),
    ("option-in-brackets", f"(--password {PW} --host db7)", (PW,), "--host db7"),
    (
        "capitals-name-value",
        f'[{{"Name": "DB_PASSWORD", "Value": "{PW}"}}, '
        f'{{"Value": "{OTHER}", "Key": "SMTP_PASSWORD"}}] are the settings',
        (PW, OTHER),
        "DB_PASSWORD",
    ),
    ("option-equals", f"mytool --auth-token={TOKEN} --host db7", SHORT, "--host db7"),
    ("export", f"export SECRET_KEY={TOKEN}; make run", SHORT, "make run"),
    ("powershell", f'$env:AZURE_API_KEY = "{KEY}"\nGet-Item .', LONG, "AZURE_API_KEY", "Get-Item"),
    ("inline-variable", f"PGPASSWORD={PW} psql -h db7 -U app", (PW,), "psql -h db7 -U app"),
    ("terraform", f'  password = "{PW}"\n  region   = "eu-north-1"', (PW,), "eu-north-1"),
]

JSON = [
    ("object", json.dumps(BOTH), (PW, *LONG), "ann.berg", "opening hours"),
    ("indented", json.dumps(BOTH, indent=2), (PW, *LONG), "ann.berg", "opening hours"),
    (
        "json-in-json",
        json.dumps({"status": 200, "body": json.dumps(BOTH)}),
        (PW, *LONG),
        "status",
        "ann.berg",
        "opening hours",
    ),
    (
        "json-in-json-in-json",
        json.dumps({"a": json.dumps({"status": 200, "body": json.dumps(BOTH)})}),
        (PW, *LONG),
        "status",
        "ann.berg",
    ),
    ("repr", f"I called it with {BOTH!r} and it worked", (PW, *LONG), "ann.berg", "and it worked"),
    ("repr-of-pairs", repr([("x-api-key", KEY), ("q", "cats")]), LONG, "cats"),
    (
        "rows",
        json.dumps([{"key": "Authorization", "value": KEY}, {"key": "q", "value": "cats"}]),
        LONG,
        "cats",
    ),
    ("in-a-fence", f"```json\n{json.dumps(BOTH)}\n```\nDone.", (PW, *LONG), "ann.berg", "Done."),
    (
        "cut-off",
        json.dumps({"city": "Oslo", "n": 4711, "secret": KEY})[:-9],
        LONG[:1],
        "Oslo",
        "4711",
    ),
    (
        "escaped-quote-in-a-password",
        json.dumps({"password": f'{PW}"{OTHER}', "city": "Oslo"}),
        (PW, OTHER),
        "Oslo",
    ),
    (
        "list-below-a-key",
        json.dumps({"api_keys": [KEY, TOKEN], "n": 4711}),
        (*LONG, *SHORT),
        "4711",
    ),
    (
        "server-sent-event",
        f"event: login\ndata: {json.dumps({'session_token': TOKEN, 'city': 'Oslo'})}\n\n",
        SHORT,
        "event: login",
        "Oslo",
    ),
]

CASES = [
    *TEXTS,
    *(text(name, value, secrets, *rest, place="code") for name, value, secrets, *rest in CODE),
    *(
        text(name, value, secrets, *rest, place="json in text")
        for name, value, secrets, *rest in JSON
    ),
]
