"""The demo: real Langflow flows around a chat model that needs neither network nor API key."""
