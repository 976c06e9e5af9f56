"""What POST /login is sent."""

from __future__ import annotations

from pydantic import Field

from server.asked import Strict


class LoginAsked(Strict):
    """A key, to be had as a cookie."""

    key: str = Field(max_length=200, description="as `cinedex keys create` printed it")
