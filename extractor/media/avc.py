"""Whether an H.264 track says itself what is known of others by decoding their first pictures: how far these
are out of order, and that they are of no fields and of square elements."""

from __future__ import annotations

_BOX, _ONE_SET = b"avcC", b"\xe1"
_PICTURES = b"\0\0\0\0vide", b"mhlrvide"  # how a track of them is called, in an mp4 and in a mov
_MOST_BYTES = 256  # of a set: what is longer says something rare
_CHROMA = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))  # profiles that name it
_UNKNOWN, _SQUARE = 0, 1  # aspects


class _Bits:
    """Numbers out of bits, as H.264 writes them. Behind the end all are ones: a lie ends soon."""

    def __init__(self, data: bytes) -> None:
        plain = data.replace(b"\0\0\3", b"\0\0")
        self._bits = int.from_bytes(plain)
        self._left = 8 * len(plain)

    @property
    def is_over(self) -> bool:
        """Whether more was read than there is."""
        return self._left < 0

    def __call__(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            return (1 << count) - 1
        return self._bits >> self._left & (1 << count) - 1

    def golomb(self) -> int:
        zeros = 0
        while not self():
            zeros += 1
        return (1 << zeros) - 1 + self(zeros)


def tells_order(data: bytes) -> bool:
    """Whether these bytes of an mp4 hold one H.264 track, with one set of parameters that says all of it.
    False is no more than a doubt: who does not know looks."""
    at = data.find(_BOX) + len(_BOX)
    if at < len(_BOX) or data.find(_BOX, at) >= 0 or data[at + 5 : at + 6] != _ONE_SET:
        return False
    length = int.from_bytes(data[at + 6 : at + 8])
    if length > _MOST_BYTES or sum(map(data.count, _PICTURES)) != 1:
        return False
    bits = _Bits(data[at + 9 : at + 8 + length])
    return _reordered(bits) > 0 and not bits.is_over


def _reordered(read: _Bits) -> int:
    """How many pictures may stand before one that is shown earlier; 0 where that is none or not said."""
    profile = read(8)
    read(16)
    read.golomb()
    if profile in _CHROMA:
        if read.golomb() == 3:
            read()
        read.golomb(), read.golomb(), read()
        if read():  # lists of scales: rare
            return 0
    read.golomb()
    if (kind := read.golomb()) == 0:
        read.golomb()
    elif kind == 1:  # an order that is counted in cycles: rare
        return 0
    read.golomb(), read(), read.golomb(), read.golomb()
    if not read():  # of fields, or some may be
        return 0
    read()
    if read():
        read.golomb(), read.golomb(), read.golomb(), read.golomb()
    return _of_display(read) if read() else 0


def _of_display(read: _Bits) -> int:
    if read() and read(8) not in (_UNKNOWN, _SQUARE):
        return 0
    if read():
        read()
    if read():
        read(4)
        if read():
            read(24)
    if read():
        read.golomb(), read.golomb()
    if read():
        read(65)
    has_first = _passes_buffer(read)
    if _passes_buffer(read) or has_first:
        read()
    read()
    if not read():
        return 0
    read(), read.golomb(), read.golomb(), read.golomb(), read.golomb()
    return read.golomb()


def _passes_buffer(read: _Bits) -> bool:
    """Whether a buffer is described, which is passed over."""
    if not read():
        return False
    count = read.golomb() + 1
    read(8)
    for _ in range(min(count, 32)):
        read.golomb(), read.golomb(), read()
    read(20)
    return True
