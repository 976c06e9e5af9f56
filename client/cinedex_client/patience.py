"""Whether a question that got no answer is asked again, and when."""

from __future__ import annotations

import random
from typing import Any

import httpx

from cinedex_client.calls import Call
from cinedex_client.errors import ClientError, error_in, failure, retry_after_s

_FIRST_S, _MOST_S = 0.25, 30.0
_BUSY = (429, 503)
_CHANGED = 416  # a file has become shorter: it is fetched from its beginning
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_LOST = (*_NEVER_SENT, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class Patience:
    """Of one call: how often it may still be sent."""

    def __init__(self, retries: int, call: Call[Any], url: httpx.URL) -> None:
        self._retries = retries if call.again != "never" else 0
        self._call, self._url = call, url
        self._tried = 0

    def is_over(self, answer: httpx.Response) -> bool:
        """Whether that answer is to be read, whatever it says."""
        return answer.status_code not in _BUSY or self._tried >= self._retries

    def wait_s(self, problem: httpx.Response | httpx.RequestError) -> float:
        """Seconds until the next try, or what went wrong is raised."""
        said_s = retry_after_s(problem) if isinstance(problem, httpx.Response) else None
        if self._tried >= self._retries or not self._is_worth(problem) or (said_s or 0) > _MOST_S:
            raise self._told(problem)
        backing_off_s = min(_FIRST_S * 2**self._tried, _MOST_S) * random.uniform(0.5, 1)
        self._tried += 1
        return backing_off_s if said_s is None else said_s + random.uniform(0, _FIRST_S)

    def went_on(self) -> None:
        """Something came; what comes next has all tries again."""
        self._tried = 0

    def _is_worth(self, problem: httpx.Response | httpx.RequestError) -> bool:
        if isinstance(problem, httpx.Response):
            if problem.status_code == 429:
                return True
            return problem.status_code in (*_BUSY, _CHANGED) and self._call.again == "always"
        return isinstance(problem, _LOST if self._call.again == "always" else _NEVER_SENT)

    def _told(self, problem: httpx.Response | httpx.RequestError) -> ClientError:
        if isinstance(problem, httpx.Response):
            return error_in(problem)
        found = failure(self._url, problem)
        found.__cause__ = problem
        return found
