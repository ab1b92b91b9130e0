"""Which names stand for secrets: of keys, fields, headers, columns, query parameters.

A name is read as words (`openaiApiKey`, `OPENAI_API_KEY` and `openai-api-key` are the same
three), so that `token` is a secret and `token_count`, `tokenizer` and `keyboard` are not.
"""

import re
from collections.abc import Iterable


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(words.split())


_MAX_REMEMBERED = 4096
_MAX_NAME = 200
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# A name with one of these words in it is a secret's, unless its last word says otherwise.
_SECRET_WORDS = word_set(
    """
    apikey apitoken authorization authtoken accesstoken refreshtoken bearertoken bearer
    clientsecret cookie cookies credential credentials creds dsn jwt mnemonic otp passcode
    passphrase passwd password passwords privatekey pwd secret secretkey secrets token totp
    connectionstring connstr sessionkey accesskey apisecret webhooksecret encryptionkey
    signingkey masterkey authkey pswd kubeconfig pem
    """
)
# Written as one word with something before or after it: `dbpassword`, `myapikey2`.
_STEMS = re.compile(
    "passw(?:or)?d(?!less)|passphrase|apikey|secretkey|privatekey|accesstoken|clientsecret"
)
# Words that are a secret's only together, and only as the last ones: `basic_auth`, `db_pass`.
_PASS_OWNERS = word_set(
    """
    admin db database email ftp imap keystore ldap login mail mysql pg postgres proxy rabbitmq
    redis root sftp smtp sql ssh sudo user vnc wifi
    """
)
_KEY_OWNERS = word_set(
    """
    access account admin aes anthropic api app application auth aws azure cerebras cipher
    client cohere consumer crypto decryption deepgram deepseek deploy elevenlabs encryption
    fernet firecrawl fireworks functions gemini google gpg groq hf hmac huggingface jwt
    langchain langfuse langsmith license licence master mistral nvidia openai openrouter
    perplexity pgp pinecone private qdrant replicate rsa secret sendgrid serp serpapi serper
    service session shared signing ssh storage stripe subscription tavily together token
    transport twilio voyage weaviate webhook xai
    """
)
_TOKENS_OWNERS = word_set(
    """
    access api auth bearer bot csrf oauth personal refresh secret service session
    """
)
# `next_page_token`, `eos_token`: tokens that open nothing.
_HARMLESS_TOKENS = word_set(
    """
    bos cached class cls completion continuation cursor end eos first input last mask max min
    new next num output pad page pagination per prompt reasoning sep special start stop sync
    total unk unknown
    """
)
# What a name that ends so holds is told about a secret, and none itself: `token_type`.
_ABOUT = word_set(
    """
    alg algorithm arn at attempts budget by changed column cost count counts created
    description details disabled display enabled endpoint env exists expired expires
    expiration expiry expire fields file filename folder format hint host id ids
    in indices info issuer kind label len length limit limits link location manager max
    method min mode name names note optional param parameter parameters params path
    placeholder policy position prefix probabilities provider rate ratio ref reference region
    required rotation rule rules scope scopes score settings size source span state status
    store strategy strength title ttl type types updated url uri usage used valid var variable
    version visible
    """
)
# Langflow's own tracers mask this one, as what they call `api_key` and `password`.
_TWO_WORDS = {
    ("connection", "string"),
    ("conn", "string"),
    ("conn", "str"),
    ("access", "signature"),
    ("github", "pat"),
    ("gitlab", "pat"),
    ("service", "account"),
}
_SERVER_URL = ["server", "url"]
_HOLDERS = frozenset({"base64", "data", "field", "header", "input", "json", "text", "value"})
# Names that only the query of an address gives this meaning to: `?key=…&sig=…`.
_QUERY = frozenset({"key", "sig", "code"})
_QUERY_SUFFIX = ("signature", "credential")


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    return [word.lower() for word in _WORD.findall(name[:_MAX_NAME])]


class SecretNames:
    """Tells the names of secrets from others; `added` are names to count among them."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        """Know the names of this module, and `added`."""
        self._added = ["_".join(words_of(name)) for name in added]
        self._verdicts: dict[str, bool] = {}
        #: Names known to be harmless: a whole mapping's are checked against it at once.
        self.harmless: set[str] = set()
        #: Texts that hold nothing like a secret, alone or several together, by their hashes (which
        #: nobody outside of this process can aim at), and whether they have long runs of
        #: characters of keys.
        self.clean_texts: dict[int, bool] = {}

    def hides(self, name: str) -> bool:
        """Tell whether what stands under `name` is a secret."""
        known = self._verdicts.get(name)
        if known is None:
            known = self._verdict(name)
            if len(self._verdicts) >= _MAX_REMEMBERED:
                self._verdicts.clear()
                self.harmless = set()
            if len(name) <= _MAX_NAME:
                self._verdicts[name] = known
            if not known and len(name) <= _MAX_NAME and name.isascii():
                self.harmless.add(name)
        return known

    def hides_parameter(self, name: str) -> bool:
        """Tell the same of a parameter in the query of an address."""
        joined = name.replace("-", "").replace("_", "").lower()
        return joined in _QUERY or joined.endswith(_QUERY_SUFFIX) or self.hides(name)

    def _verdict(self, name: str) -> bool:
        words = words_of(name)
        if not words:
            return False
        if self._is_added(words) or words[-2:] == _SERVER_URL:
            return True
        while len(words) > 1 and (words[-1].isdigit() or words[-1] in _HOLDERS):
            words.pop()
        return words[-1] not in _ABOUT and _is_secret(words)

    def _is_added(self, words: list[str]) -> bool:
        whole = f"_{'_'.join(words)}_"
        return any(f"_{added}_" in whole for added in self._added if added)


def _is_secret(words: list[str]) -> bool:
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in {"key", "keys"}:
        return before in _KEY_OWNERS
    if last == "tokens":
        return before in _TOKENS_OWNERS
    if last == "pass":
        return not before or before in _PASS_OWNERS
    if last in {"auth", "authentication"}:
        return before not in {"o", "no"}
    if (before, last) in _TWO_WORDS:
        return True
    return any(map(_tells_secret, words, ["", *words])) or bool(_STEMS.search("".join(words)))


def _tells_secret(word: str, before: str) -> bool:
    if word == "token":
        return before not in _HARMLESS_TOKENS
    return word in _SECRET_WORDS
