"""The colours of things, and on which grounds each can be seen."""

from __future__ import annotations

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (214, 32, 36),
    "blue": (28, 72, 214),
    "green": (30, 150, 52),
    "yellow": (240, 212, 20),
    "orange": (245, 132, 10),
    "purple": (128, 44, 176),
    "pink": (240, 110, 180),
    "cyan": (16, 200, 212),
    "brown": (112, 64, 26),
    "white": (246, 246, 246),
    "black": (12, 12, 12),
    "grey": (128, 128, 128),
}
UNSEEN_ON: dict[str, tuple[str, ...]] = {  # a ground, and what nobody could name upon it
    "white": ("white",),
    "grey": ("grey",),
    "dark": ("black", "brown"),
    "grass": ("green",),
    "water": ("blue", "cyan"),
    "sand": ("yellow", "white"),
    "night": ("black", "brown"),
    "bricks": ("brown", "orange"),
    "graph paper": ("white",),
    "wood": ("brown", "orange"),
}


def shade(colour: str) -> Colour:
    """What its textures are drawn with: darker, or lighter where it is dark."""
    base = COLOURS[colour]
    if sum(base) > 200:
        return (base[0] * 9 // 20, base[1] * 9 // 20, base[2] * 9 // 20)
    return (base[0] + 120, base[1] + 120, base[2] + 120)
