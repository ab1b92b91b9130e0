"""What other libraries say when something goes wrong, with secrets in it, word for word."""

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
        "sqlalchemy-parameters-by-name",
        "SQLAlchemy 2.0 OperationalError",
        "(sqlite3.OperationalError) no such table: users\n"
        "[SQL: insert into users (name, password, api_key) values (:name, :password, :api_key)]\n"
        f"[parameters: {{'name': 'ann', 'password': '{PW}', 'api_key': '{KEY}'}}]\n"
        "(Background on this error at: https://sqlalche.me/e/20/e3q8)",
        (PW, *LONG),
        "no such table: users",
        "insert into users (name, password, api_key)",
        "https://sqlalche.me/e/20/e3q8",
    ),
    error(
        "sqlalchemy-parameters",
        "SQLAlchemy 2.0 OperationalError",
        "(sqlite3.OperationalError) no such table: users\n"
        "[SQL: insert into users (name, api_key) values (?, ?)]\n"
        f"[parameters: ('ann', '{FACE}')]",
        ends(FACE[3:]),
        "no such table: users",
        "parameters",
    ),
    error(
        "sqlalchemy-url",
        "SQLAlchemy 2.0 URL.render_as_string(hide_password=False)",
        f"cannot reach postgresql://app:{PW}@db7/crm",
        (PW,),
        "cannot reach",
        "db7/crm",
    ),
    error(
        "sqlalchemy-url-query",
        "SQLAlchemy 2.0 repr(URL)",
        f"postgresql://app@db7/crm?password={PW}&sslmode=require",
        (PW,),
        "sslmode=require",
    ),
    error(
        "pydantic-value",
        "pydantic 2.13 ValidationError",
        f"2 validation errors for Config\napi_key\n  {PARSING}input_value='{KEY}', "
        f"input_type=str]\n{MORE}int_parsing\nport\n  {PARSING}input_value='eighty', "
        f"input_type=str]\n{MORE}int_parsing",
        LONG,
        "2 validation errors for Config",
        "unable to parse string as an integer",
    ),
    error(
        "pydantic-missing",
        "pydantic 2.13 ValidationError",
        "1 validation error for Config\nhost\n  Field required [type=missing, "
        f"input_value={{'apikey': '{KEY}', 'password': '{PW}'}}, input_type=dict]\n{MORE}missing",
        (*LONG, PW),
        "1 validation error for Config",
        "Field required",
    ),
    error(
        "pydantic-extra",
        "pydantic 2.13 ValidationError",
        "1 validation error for Config\nopenai_api_key\n  Extra inputs are not permitted "
        f"[type=extra_forbidden, input_value='{KEY}', input_type=str]\n{MORE}extra_forbidden",
        LONG,
        "openai_api_key",
        "Extra inputs are not permitted",
    ),
    error(
        "pydantic-json",
        "pydantic 2.13 ValidationError",
        "1 validation error for Config\n  Invalid JSON: trailing comma at line 1 column 36 "
        f'[type=json_invalid, input_value=\'{{"url": "x", "password": "{PW}",}}\', '
        f"input_type=str]\n{MORE}json_invalid",
        (PW,),
        "Invalid JSON: trailing comma at line 1 column 36",
    ),
    error(
        "pydantic-repr",
        "pydantic 2.13 repr(BaseModel)",
        f"Conn(host='db7', api_key='{KEY}', client_secret='{PW}', timeout=4711)",
        (*LONG, PW),
        "db7",
        "timeout=4711",
    ),
    error(
        "key-error",
        "Python 3.12 str(KeyError)",
        f"\"missing 'x-tenant' in {{'Authorization': 'Token {KEY}', 'Accept': '*/*'}}\"",
        LONG,
        "x-tenant",
        "Accept",
    ),
    error(
        "key-error-of-a-pair",
        "Python 3.12 str(KeyError)",
        f"('Authorization', 'Bearer {KEY}')",
        LONG,
        "Authorization",
    ),
    error(
        "assertion",
        "Python 3.12 str(AssertionError)",
        f"{{'X-Api-Key': '{KEY}', 'Accept': 'text/html'}}",
        LONG,
        "X-Api-Key",
        "text/html",
    ),
    error(
        "value-error",
        "Python 3.12 ValueError of int()",
        f"invalid literal for int() with base 10: 'token={KEY}'",
        LONG,
        "invalid literal for int() with base 10",
    ),
    error(
        "subprocess-list",
        "Python 3.12 str(CalledProcessError)",
        f"Command '['curl', '--user', 'ann:{PW}', '-H', 'Authorization: Bearer {KEY}', "
        "'https://api.example.com']' returned non-zero exit status 1.",
        (PW, *LONG),
        "https://api.example.com",
        "returned non-zero exit status 1.",
    ),
    error(
        "subprocess-option",
        "Python 3.12 str(CalledProcessError)",
        f"Command '['mytool', '--password', '{PW}', '--host', 'db7']' returned non-zero exit "
        "status 2.",
        (PW,),
        "db7",
        "returned non-zero exit status 2.",
    ),
    error(
        "subprocess-shell",
        "Python 3.12 str(CalledProcessError)",
        f"Command 'PGPASSWORD={PW} psql -h db7' returned non-zero exit status 1.",
        (PW,),
        "psql -h db7",
        "returned non-zero exit status 1.",
    ),
    error(
        "yaml",
        "PyYAML 6.0 ScannerError",
        "while scanning for the next token\nfound character '@' that cannot start any token\n"
        f'  in "<unicode string>", line 2, column 13:\n      password: @{PW}\n'
        "                ^",
        (PW,),
        "while scanning for the next token",
        "that cannot start any token",
        "line 2, column 13",
    ),
    error(
        "configparser",
        "configparser (Python 3.12) MissingSectionHeaderError",
        "File contains no section headers.\nfile: '<string>', line: 1\n"
        f"'aws_secret_access_key = {KEY}\\n'",
        LONG,
        "File contains no section headers.",
        "aws_secret_access_key",
    ),
    error(
        "langchain-parser",
        "langchain-core 1.7 OutputParserException",
        f'Invalid json output: Sure: {{"api_key": "{KEY}", bad\n'
        "For troubleshooting, visit: "
        "https://docs.langchain.com/oss/python/langchain/errors/OUTPUT_PARSING_FAILURE ",
        LONG,
        "Invalid json output: Sure",
        "OUTPUT_PARSING_FAILURE",
    ),
    error(
        "traceback",
        "Python 3.12 traceback.format_exception",
        'Traceback (most recent call last):\n  File "/app/flow.py", line 12, in run\n'
        f'    connect(host="db7", user="ann", password="{PW}")\n    ^^^^^^^\n'
        "NameError: name 'connect' is not defined\n",
        (PW,),
        "Traceback (most recent call last)",
        "db7",
        "is not defined",
    ),
    error(
        "traceback-httpx",
        "Python 3.12 traceback.format_exception, httpx 0.28",
        'Traceback (most recent call last):\n  File "/app/flow.py", line 9, in fetch\n'
        '    return httpx.get(f"http://{host}/v1?api_key={api_key}").raise_for_status()\n'
        "httpx.HTTPStatusError: Client error '401 Unauthorized' for url "
        f"'http://{LOCAL}/v1?api_key={KEY}'\n",
        LONG,
        "line 9, in fetch",
        "raise_for_status()",
        "401 Unauthorized",
    ),
    error(
        "frame-as-text",
        "pandas 2.3 repr(DataFrame)",
        f"  name                           api_key\n0  ann  {KEY}\n1  bob  {KEY[::-1]}",
        (*LONG, *ends(KEY[::-1])),
        "name",
        "ann",
        "bob",
    ),
]
