"""Every picture passes by here, small, so that shots are found without a second decoding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from extractor.media.clock import Shown
from extractor.shots import HEIGHT, WIDTH, Finder, Small


class Watch:
    """Tells each picture when its shot begins; a few pictures late."""

    def __init__(self) -> None:
        self._finder = Finder()
        self._reformatter = VideoReformatter()
        self.begins: list[Fraction] = []

    def __call__(self, pictures: Iterable[Shown[VideoFrame]]) -> Iterator[Shown[VideoFrame]]:
        waiting: deque[Shown[VideoFrame]] = deque()
        for picture in pictures:
            waiting.append(picture)
            for begins in self._finder.push(float(picture.t), self._small(picture)):
                yield self._told(waiting.popleft(), begins)
        for begins in self._finder.finish():
            yield self._told(waiting.popleft(), begins)

    def _told(self, picture: Shown[VideoFrame], begins: bool) -> Shown[VideoFrame]:
        if begins:
            self.begins.append(picture.t)
        return replace(picture, shot=self.begins[-1])

    def _small(self, picture: Shown[VideoFrame]) -> Small:
        small = self._reformatter.reformat(
            picture.frame, WIDTH, HEIGHT, "rgb24", interpolation=Interpolation.AREA, threads=1
        )
        return np.ascontiguousarray(small.to_ndarray())
