"""A library of real files, extracted by the real command, and what its server says."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import httpx

from extractor.cli import main as extract
from index.cli import main as index
from server.library import ServedLibrary

DAY = "private, max-age=86400"


@dataclass(frozen=True)
class Films:
    """Files in a folder, and a store of them that is built."""

    folder: Path
    data: Path

    @classmethod
    def of(cls, folder: Path, data: Path, *flags: str) -> Films:
        line = ["--videos", str(folder), "--data", str(data), "--encoder", "toy:rgb", "--workers", "0"]
        assert extract([*line, "--quiet", "--fps", "2", *flags]) == 0
        assert index(["build", "--data", str(data), "--quiet"]) == 0
        return cls(folder, data)

    @classmethod
    def copied(cls, videos: Path, to: Path, *names: str) -> Films:
        folder = to / "films"
        folder.mkdir()
        for name in names:
            shutil.copy(videos / name, folder / name)
        return cls.of(folder, to / "data")

    def library(self) -> ServedLibrary:
        return ServedLibrary.of_data(self.data)


def id_at(http: httpx.Client, name: str) -> str:
    """The id of the video at that path below the root."""
    found = http.post("/search", json={"query": "red", "limit": 100, "group_by": "video"}).json()
    return next(str(each["video_id"]) for each in found["results"] if each["path"].endswith(f"/{name}"))
