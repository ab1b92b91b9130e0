"""Secrets inside files that tell programs how to log in, read by a flow as texts (or parsed)."""

from __future__ import annotations

import json
from typing import Any

from tests.support.corpus.case import BASE32, Case, base64_of, ends, fake, jwt, pem, word

PW, OTHER = word("config"), word("config 2")
KEY, TOKEN = fake("config key", 32), fake("config token", 40)
LONG, SHORT = ends(KEY), ends(TOKEN)
PRIVATE, PRIVATE_LINES = pem("service account")
JWT, JWT_PARTS = jwt("kubeconfig")
CLIENT_KEY = base64_of(pem("client key", "EC PRIVATE KEY")[0])

SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "acme-flows",
    "private_key": PRIVATE,
    "client_email": "reader@acme-flows.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
KUBECONFIG = f"""\
apiVersion: v1
clusters:
- cluster:
    server: https://k8s.internal:6443
  name: prod
users:
- name: deployer
  user:
    client-key-data: {CLIENT_KEY}
    token: {JWT}
"""
COMPOSE = f"""\
services:
  db:
    image: postgres:17
    environment:
      POSTGRES_USER: app
      POSTGRES_PASSWORD: {PW}
      TZ: Europe/Oslo
  web:
    environment:
      - DATABASE_URL=postgresql://app:{PW}@db:5432/crm
      - SESSION_SECRET={TOKEN}
    ports: ["8080:80"]
"""
SECRET_MANIFEST = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: db-login
data:
  username: {base64_of("app")}
  password: {base64_of(PW)}
"""
DEPLOYMENT = f"""\
env:
- name: LOG_LEVEL
  value: debug
- name: SMTP_PASSWORD
  value: {PW}
- name: PORT
  value: "4711"
"""
DOTENV = f"""\
# local settings
PORT=4711
export OPENAI_API_KEY={TOKEN}
DB_PASSWORD="{PW} and {OTHER}"
SENTRY_ENVIRONMENT=staging
"""
AWS = f"""\
[default]
aws_access_key_id = {"AK" + "IA" + fake("file", 16, BASE32)}
aws_secret_access_key = {fake("aws 1", 20)}/{fake("aws 2", 12)}+{fake("aws 3", 6)}
region = eu-north-1
"""
HELM = f"""\
ingress:
  host: app.example.com
auth:
  adminPassword: "{PW}"
  oauth:
    clientSecret: {KEY}   # rotate in May
replicas: 4711
"""
BLOCK = "tls:\n  privateKey: |\n" + "".join(f"    {line}\n" for line in PRIVATE.splitlines())


def config(name: str, value: Any, secrets: tuple[str, ...], *readable: str) -> Case:
    return Case(f"config-{name}", "config", value, secrets, readable)


CASES = [
    config("dotenv", DOTENV, (*SHORT, PW, OTHER), "local settings", "PORT=4711", "staging"),
    config("compose", COMPOSE, (PW, *SHORT), "image: postgres:17", "TZ: Europe/Oslo", "8080:80"),
    config("kubeconfig", KUBECONFIG, (*ends(CLIENT_KEY), *JWT_PARTS), "https://k8s.internal:6443"),
    config("kubernetes-secret", SECRET_MANIFEST, (base64_of(PW),), "apiVersion: v1", "db-login"),
    config("kubernetes-environment", DEPLOYMENT, (PW,), "value: debug", "SMTP_PASSWORD", "PORT"),
    config("helm-values", HELM, (PW, *LONG), "host: app.example.com", "replicas: 4711"),
    config("yaml-block", BLOCK + "  port: 4711\n", PRIVATE_LINES, "port: 4711"),
    config(
        "yaml-flow",
        f"smtp: {{host: mail.example.com, password: {PW}, port: 4711}}",
        (PW,),
        "host: mail.example.com",
        "port: 4711",
    ),
    config(
        "aws-credentials",
        AWS,
        (fake("file", 16, BASE32), fake("aws 1", 20), fake("aws 2", 12), fake("aws 3", 6)),
        "[default]",
        "region = eu-north-1",
    ),
    config(
        "service-account",
        SERVICE_ACCOUNT,
        PRIVATE_LINES,
        "acme-flows",
        "reader@acme-flows.iam.gserviceaccount.com",
    ),
    config(
        "service-account-as-text",
        json.dumps(SERVICE_ACCOUNT, indent=2),
        PRIVATE_LINES,
        "acme-flows",
        "reader@acme-flows.iam.gserviceaccount.com",
    ),
    config("netrc", f"machine api.example.com login ann password {PW}\n", (PW,), "api.example.com"),
    config(
        "netrc-lines",
        f"machine api.example.com\n  login ann\n  password {PW}\nmachine b.example.com\n",
        (PW,),
        "b.example.com",
    ),
    config("pgpass", f"# ~/.pgpass\ndb7:5432:crm:app:{PW}\n", (PW,), "# ~/.pgpass"),
    config("npmrc", f"//npm.example.com/:_authToken={TOKEN}\nsave-exact=true", SHORT, "save-exact"),
    config(
        "pypirc",
        f"[pypi]\nrepository = https://pypi.example.com\nusername = ann\npassword = {PW}\n",
        (PW,),
        "https://pypi.example.com",
    ),
    config(
        "pip",
        f"[global]\nindex-url = https://ann:{PW}@pypi.example.com/simple\ntimeout = 4711\n",
        (PW,),
        "pypi.example.com/simple",
        "timeout = 4711",
    ),
    config(
        "properties",
        f"spring.datasource.username=app\nspring.datasource.password={PW}\nserver.port=4711\n",
        (PW,),
        "spring.datasource.username=app",
        "server.port=4711",
    ),
    config(
        "toml", f'[search]\napi_key = "{KEY}"\nlimit = 4711\n', LONG, "[search]", "limit = 4711"
    ),
    config(
        "dotnet",
        f'<add key="SearchApiKey" value="{KEY}" /><add key="Region" value="Oslo" />',
        LONG,
        "Oslo",
    ),
    config(
        "mcp-servers",
        {"mcpServers": {"search": {"command": "uvx", "env": {"SEARCH_API_KEY": KEY}}}},
        LONG,
        "uvx",
        "SEARCH_API_KEY",
    ),
    config(
        "mcp-server-arguments",
        {"command": "npx", "args": ["search-server", "--api-key", KEY, "--region", "Oslo"]},
        LONG,
        "search-server",
        "Oslo",
    ),
    config(
        "git",
        f'[remote "origin"]\n\turl = https://ann:{TOKEN}@git.example.com/a/b.git\n',
        SHORT,
        "git.example.com/a/b.git",
    ),
    config(
        "wireguard",
        f"[Interface]\nAddress = 10.8.0.2/24\nPrivateKey = {fake('wg', 43)}=\n",
        ends(fake("wg", 43)),
        "Address = 10.8.0.2/24",
    ),
]
