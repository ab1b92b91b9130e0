"""Prose, code and messages about secrets, without any: a mask over these is a false positive."""

from __future__ import annotations

from tests.support.corpus.case import Case

# An id, and a text that must be left as it is.
WHOLE: list[tuple[str, str]] = [
    ("basic-understanding", "Basic understanding of statistics is enough"),
    ("basic-authentication", "Basic authentication is deprecated since 2019"),
    ("visual-basic", "I learnt Visual Basic programming in 1998"),
    ("bearer-of-news", "The Bearer of bad news arrived"),
    ("bearer-authentication", "Use bearer authentication, not Basic"),
    ("bearer-tokens", "A bearer token authorises whoever carries it"),
    ("password-rules", "Your password must contain 8 characters, one of them a digit"),
    ("password-forgotten", "Forgot your password? Then ask Ann in room 4711"),
    ("password-of-a-user", "The password for the guest network is on the board"),
    ("token-defined", "Token: a word or a part of a word that a model reads"),
    ("tokens-counted", "The prompt has 4711 tokens, of which 12 are special tokens"),
    ("tokenization", "Tokenization: splitting a text into words"),
    ("secret-of-bread", "The secret of good bread is time, and the key ingredient is salt"),
    ("secretary", "Secretary: Ms Jones, Treasurer: Mr Dahl"),
    ("cookies", "Bake the cookies for 12 minutes at 180 degrees"),
    ("keys-on-a-map", "key: value pairs, one to a line"),
    ("hot-key", "Hotkey: Enter; monkey: George; turkey: roasted"),
    ("pass-the-salt", "passing: tests 41, compass: north, passport: control ahead"),
    ("author-line", "Author: Ann Berg"),
    ("api-key-needed", "You need an API key, which the portal shows below Settings"),
    ("sk-learn", "sk-learn and sk-estimators-for-large-pipelines are nicknames"),
    ("task-force", "The task-force wrote a risk-based-assessment-of-the-disk-usage-report"),
    ("ask-anything", "ask-anything-about-langflow-components-today"),
    ("mask-language", "mask-language-modelling-with-transformers-explained"),
    ("akia-alone", "Keys of that provider begin with AKIA or ASIA"),
    ("prefixes-alone", "Prefixes such as ghp_, sk-, hf_, glpat- and xoxb- name the provider"),
    ("hub-packages", "hf_hub_download, hf_transfer and npm_config_registry"),
    ("model-names", "pplx-70b-online, xai-grok-2 and r8_optimizer"),
    ("google-words", "AIzawa is a place, ya29 a road, SG.txt a file"),
    ("key-dash", "key-value-stores and key-performance-indicators"),
    ("pem-mentioned", "A PEM file begins with a line that says BEGIN PRIVATE KEY"),
    ("eye-words", "eyJ is how a JSON object starts in base64"),
    ("norwegian", "Passordet ditt må ha minst åtte tegn, og nøkkelen ligger under matta"),
    ("german", "Der Schlüssel liegt unter der Matte, das Passwort kennt nur Åse"),
    ("chinese", "请在设置中输入您的密码和密钥"),
    ("japanese", "パスワードは8文字以上にしてください"),
    ("sql-columns", "SELECT token, password FROM users WHERE author_key = 4711"),
    ("sql-table", "CREATE TABLE users (id INT PRIMARY KEY, password VARCHAR(64) NOT NULL)"),
    ("sql-parameters", "INSERT INTO users (name, password) VALUES (:name, :password)"),
    ("http-challenge", "401 Unauthorized: the API key is missing"),
    ("usage", "usage: mytool [--password PASSWORD] [--token TOKEN] host"),
    ("python-signature", "def login(user: str, password: str, token: str | None = None) -> bool:"),
    ("python-optional", "def connect(api_key: Optional[str] = None, timeout: int = 4711): ..."),
    ("python-field", "max_tokens=4711, tokenizer=None, keyboard=qwerty, author=ann"),
    ("python-passed-on", "client = Client(api_key=self.api_key, token=token)"),
    ("typescript", "interface Login { user: string; password: string; }"),
    ("graphql", "mutation Login($token: String!) { login(token: $token) { id } }"),
    ("css", ".secret { color: red } .hotkey { content: none }"),
    ("placeholder-shell", "curl -H X-Api-Key:${API_KEY} https://api.example.com/v1"),
    ("placeholder-angle", "OPENAI_API_KEY=<your-api-key>"),
    ("placeholder-braces", "Authorization: Bearer {{ access_token }}"),
    ("placeholder-f-string", "Authorization: Bearer {token}"),
    ("placeholder-in-url", "https://{user}:{password}@api.example.com/v1?token={token}"),
    ("placeholder-dollar-url", "postgresql://$DB_USER:${DB_PASSWORD}@db7/crm"),
    ("placeholder-shouting", "api_key=YOUR_API_KEY"),
    ("git-log", "fix: token refresh (#4711), docs: password reset"),
]

# An id, a text, and what of it must be left.
IN_PART: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("masked-already", "text", "api_key=******** region=oslo", ("api_key", "region=oslo")),
    ("masked-in-a-url", "dsn", "amqp://app:**@queue.internal:5672//", ("queue.internal:5672",)),
    (
        "python-environment",
        "code",
        'api_key = os.environ["OPENAI_API_KEY"]\ntoken = os.getenv("HF_TOKEN")',
        ("os.environ", "OPENAI_API_KEY", "os.getenv", "HF_TOKEN"),
    ),
    (
        "python-asked-for",
        "code",
        'password = getpass.getpass("Password of the guest network: ")',
        ("getpass.getpass", "Password of the guest network"),
    ),
    (
        "workflow-placeholder",
        "config",
        "env:\n  API_TOKEN: ${{ secrets.API_TOKEN }}\n  REGION: oslo",
        ("secrets.API_TOKEN", "REGION: oslo"),
    ),
    (
        "markdown",
        "text",
        "## Passwords\n\n- **Tokens** expire\n- keys don't\n\n[Keys](https://example.org/keys)",
        ("## Passwords", "**Tokens** expire", "https://example.org/keys"),
    ),
    (
        "form",
        "text",
        '<label for="password">Password</label><input type="password" placeholder="8 or more">',
        ("Password</label>", "8 or more"),
    ),
]

# What libraries say, with nothing in it that is secret.
SAID: list[tuple[str, str, str, tuple[str, ...]]] = [
    (
        "openai-masked",
        "openai 2.54 AuthenticationError",
        "Error code: 401 - {'error': {'message': 'Incorrect API key provided: "
        + "s"
        + "k-proj-"
        + "*" * 44
        + "x7Qa. You can find your API key at "
        "https://platform.openai.com/account/api-keys.', 'type': 'invalid_request_error', "
        "'param': None, 'code': 'invalid_api_key'}}",
        (
            "Error code: 401",
            "Incorrect API key provided",
            "https://platform.openai.com/account/api-keys",
            "invalid_api_key",
        ),
    ),
    (
        "openai-missing",
        "openai 2.54 OpenAIError",
        "Missing credentials. Please pass an `api_key`, `workload_identity`, `admin_api_key`, or "
        "set the `OPENAI_API_KEY` or `OPENAI_ADMIN_KEY` environment variable.",
        (),
    ),
    (
        "anthropic",
        "anthropic 2.12 AuthenticationError",
        "Error code: 401 - {'type': 'error', 'error': {'type': 'authentication_error', "
        "'message': 'invalid x-api-key'}}",
        ("authentication_error", "invalid x-api-key"),
    ),
    (
        "psycopg2",
        "psycopg2 2.9 OperationalError",
        'connection to server at "127.0.0.1", port 5432 failed: FATAL:  password authentication '
        'failed for user "langflow"\n',
        ("port 5432 failed: FATAL:  password authentication failed for user", "langflow"),
    ),
    (
        "redis",
        "redis 7.4 AuthenticationError",
        "invalid username-password pair or user is disabled.",
        (),
    ),
    (
        "botocore",
        "botocore 1.43 ClientError",
        "An error occurred (SignatureDoesNotMatch) when calling the PutObject operation: The "
        "request signature we calculated does not match the signature you provided. Check your "
        "AWS Secret Access Key and signing method. Consult the service documentation for details.",
        (),
    ),
    (
        "pymongo",
        "pymongo 4.20 InvalidURI",
        "Username and password must be escaped according to RFC 3986, use urllib.parse.quote_plus",
        (),
    ),
    (
        "type-error",
        "Python 3.12 TypeError",
        "connect() got an unexpected keyword argument 'password'",
        ("connect() got an unexpected keyword argument", "password"),
    ),
    (
        "kombu",
        "kombu 5.7 repr(Connection)",
        "<Connection: amqp://ann:**@127.0.0.1:5672// at 0x7fe0b4db6600>",
        ("127.0.0.1:5672// at 0x7fe0b4db6600",),
    ),
    (
        "pydantic-secret",
        "pydantic 2.13 repr(SecretStr)",
        "Login(user='ann', token=SecretStr('**********'), timeout=4711)",
        ("Login", "SecretStr", "timeout=4711"),
    ),
]

CODE = ("python", "sql", "typescript", "graphql", "css", "usage")

CASES = [
    *(
        Case(f"prose-{name}", "code" if name.startswith(CODE) else "text", text, (), (text,))
        for name, text in WHOLE
    ),
    *(Case(f"prose-{name}", place, text, (), left) for name, place, text, left in IN_PART),
    *(
        Case(f"said-{name}", "error", text, (), left or (text,), source)
        for name, source, text, left in SAID
    ),
]
