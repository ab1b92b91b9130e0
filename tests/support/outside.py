"""What flows of Langflow's fetch from the internet, on this machine: a page, a feed, and arXiv.

arXiv is asked by its name over plain HTTP, so that a proxy (`http_proxy`) can answer in its place.
"""

from __future__ import annotations

from typing import Any

from tests.support.faults import Reply
from tests.support.receiver import Incoming, Receiver, Refused

PAGE = b"<html><head><title>Bridges</title></head><body><p>It is of green glass.</p></body></html>"
_FEED = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>
<item><title>Bridge opened</title><link>http://localhost/1</link>
<description>It is green.</description><pubDate>Mon, 02 Nov 2026 08:00:00 GMT</pubDate></item>
<item><title>Library closed</title><link>http://localhost/2</link>
<description>On Sundays.</description><pubDate>Tue, 03 Nov 2026 08:00:00 GMT</pubDate></item>
</channel></rss>"""
_PAPERS = b"""<feed xmlns="http://www.w3.org/2005/Atom">
<entry><id>1</id><title>On bridges</title><summary>Of glass.</summary></entry>
<entry><id>2</id><title>On libraries</title><summary>Of paper.</summary></entry>
<entry><id>3</id><title>On rivers</title><summary>Of water.</summary></entry>
</feed>"""


class Outside(Receiver):
    """Answers on 127.0.0.1 while the context is open; refuses what nobody is meant to fetch."""

    @property
    def page(self) -> str:
        """The address of a web page."""
        return f"{self.endpoint}/page"

    @property
    def feed(self) -> str:
        """The address of an RSS feed."""
        return f"{self.endpoint}/feed"

    def respond(self, request: Incoming) -> Reply:
        """The page, the feed or the papers."""
        answers = {
            "/page": (PAGE, "text/html"),
            "/feed": (_FEED, "application/rss+xml"),
            "http://export.arxiv.org/api/query": (_PAPERS, "application/atom+xml"),
        }
        if request.path not in answers:
            raise Refused(403, "not to be fetched")
        body, content_type = answers[request.path]
        return Reply(200, body, content_type)

    def items(self, request: Incoming) -> list[Any]:
        """Nothing."""
        return []
