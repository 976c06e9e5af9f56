"""A typed client for a Cinedex server: httpx and pydantic, nothing of ours.

    from cinedex_client import Client

    with Client("http://127.0.0.1:8000") as cinedex:
        for moment in cinedex.search("a red truck at night", limit=5).moments:
            print(moment.path, moment.start, moment.end, moment.score)

`AsyncClient` has the same methods, to be awaited. Fields that a newer server adds are kept, not refused.
"""

from cinedex_client.answers import (
    Answer,
    Best,
    Caption,
    Captioned,
    Collection,
    Embedded,
    Encoder,
    Explained,
    Found,
    Label,
    Located,
    Range,
    Readiness,
    Result,
    SequenceResult,
    Tagged,
    Video,
    VideoResult,
)
from cinedex_client.awaited import AsyncClient
from cinedex_client.client import Client
from cinedex_client.errors import (
    ApiError,
    ClientError,
    Conflict,
    Forbidden,
    Gone,
    InternalError,
    InvalidRequest,
    NotFound,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UndecodableMedia,
    Unreachable,
)
from cinedex_client.questions import Part, Query, Search, SearchOptions, Step
from cinedex_client.settings import DEFAULT_URL, __version__

__all__ = [
    "DEFAULT_URL",
    "Answer",
    "ApiError",
    "AsyncClient",
    "Best",
    "Caption",
    "Captioned",
    "Client",
    "ClientError",
    "Collection",
    "Conflict",
    "Embedded",
    "Encoder",
    "Explained",
    "Forbidden",
    "Found",
    "Gone",
    "InternalError",
    "InvalidRequest",
    "Label",
    "Located",
    "NotFound",
    "Part",
    "Query",
    "Range",
    "Readiness",
    "Result",
    "Search",
    "SearchOptions",
    "SequenceResult",
    "Step",
    "Tagged",
    "TimedOut",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UndecodableMedia",
    "Unreachable",
    "Video",
    "VideoResult",
    "__version__",
]
