"""How a request to the agent can fail. Kept apart from the client, which is slow to import."""

from __future__ import annotations


class ClientError(Exception):
    """A request that did not succeed; str() is the text to show."""

    advice = ""


class Unreachable(ClientError):
    """No usable answer came: refused, timed out, bad certificate, cut off, not JSON."""


class UnexpectedStatus(ClientError):
    """The agent answered with an error status; `body` is its text, `advice` what it adds for people."""

    def __init__(self, status: int, body: str, advice: str = "") -> None:
        super().__init__(f"Unexpected response code: {status} ({body})")
        self.status = status
        self.body = body
        self.advice = advice
