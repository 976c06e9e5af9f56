"""The words for everything in the world; the first of each is the plainest."""

from __future__ import annotations

COLOUR_WORDS = {
    "red": ("red", "crimson", "scarlet"),
    "blue": ("blue", "azure", "cobalt"),
    "green": ("green", "emerald"),
    "yellow": ("yellow", "golden"),
    "orange": ("orange", "tangerine"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rose"),
    "cyan": ("cyan", "turquoise"),
    "brown": ("brown", "chocolate"),
    "white": ("white", "snowy"),
    "black": ("black", "ebony"),
    "grey": ("grey", "gray"),
}
SHAPE_WORDS = {  # and of several
    "circle": (("circle", "circles"), ("disc", "discs")),
    "square": (("square", "squares"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"),),
    "star": (("star", "stars"),),
    "heart": (("heart", "hearts"),),
    "ring": (("ring", "rings"), ("hoop", "hoops")),
    "cross": (("cross", "crosses"), ("plus sign", "plus signs")),
    "hexagon": (("hexagon", "hexagons"), ("six-sided shape", "six-sided shapes")),
    "diamond": (("diamond", "diamonds"), ("rhombus", "rhombuses")),
    "crescent": (("crescent", "crescents"), ("moon", "moons")),
    "arrow": (("arrow", "arrows"),),
    "oval": (("oval", "ovals"), ("ellipse", "ellipses")),
    "bar": (("bar", "bars"), ("stick", "sticks")),
    "pentagon": (("pentagon", "pentagons"), ("five-sided shape", "five-sided shapes")),
    "": (("shape", "shapes"), ("thing", "things"), ("object", "objects")),
}
SIZE_WORDS = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium-sized", "middle-sized"),
    "large": ("large", "big", "huge"),
}
TEXTURE_WORDS = {  # before it, and behind it
    "plain": (("plain", "solid"), ("without a pattern",)),
    "striped": (("striped", "stripy"), ("with stripes",)),
    "dotted": (("dotted", "spotted"), ("with dots", "with spots")),
    "checked": (("checked", "chequered"), ("with checks",)),
}
GROUND_WORDS = {
    "white": ("on white", "on a white background", "before a white wall"),
    "grey": ("on grey", "on a grey background", "before a grey wall"),
    "dark": ("in the dark", "on a dark background", "on black"),
    "grass": ("over grass", "on a lawn", "on a meadow"),
    "water": ("over water", "on the sea", "on a lake"),
    "sand": ("on sand", "over a beach", "on a desert floor"),
    "night": ("at night", "in the night sky", "among the stars of the night"),
    "bricks": ("on bricks", "before a brick wall", "on a wall of bricks"),
    "graph paper": ("on graph paper", "on squared paper", "on a grid of lines"),
    "wood": ("on wood", "on a wooden table", "on a wooden board"),
}
PLACE_WORDS = {
    "top left": ("in the top left corner", "in the upper left"),
    "top centre": ("at the top", "in the upper middle"),
    "top right": ("in the top right corner", "in the upper right"),
    "middle left": ("at the left edge", "on the left side"),
    "middle centre": ("in the middle", "in the centre"),
    "middle right": ("at the right edge", "on the right side"),
    "bottom left": ("in the bottom left corner", "in the lower left"),
    "bottom centre": ("at the bottom", "in the lower middle"),
    "bottom right": ("in the bottom right corner", "in the lower right"),
}
RELATION_WORDS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "higher than"),
    "below": ("below", "lower than"),
    "above left of": ("above and to the left of", "to the upper left of"),
    "above right of": ("above and to the right of", "to the upper right of"),
    "below left of": ("below and to the left of", "to the lower left of"),
    "below right of": ("below and to the right of", "to the lower right of"),
}
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")

Verb = tuple[str, str]  # as in “it moves” and as in “moving”
GOING: tuple[Verb, ...] = (
    ("moves", "moving"),
    ("goes", "going"),
    ("slides", "sliding"),
    ("glides", "gliding"),
    ("drifts", "drifting"),
    ("travels", "travelling"),
)
WHERE_TO = {  # behind those verbs
    "left": ("left", "to the left", "leftwards"),
    "right": ("right", "to the right", "rightwards"),
    "up": ("up", "upwards", "to the top"),
    "down": ("down", "downwards", "to the bottom"),
    "up left": ("up and to the left", "diagonally up left", "to the upper left"),
    "up right": ("up and to the right", "diagonally up right", "to the upper right"),
    "down left": ("down and to the left", "diagonally down left", "to the lower left"),
    "down right": ("down and to the right", "diagonally down right", "to the lower right"),
    "clockwise": ("clockwise", "round clockwise", "in a clockwise circle"),
    "anticlockwise": ("anticlockwise", "round anticlockwise", "in an anticlockwise circle"),
}
DOING: dict[str, tuple[Verb, ...]] = {  # and what has verbs of its own
    "up": (("rises", "rising"), ("climbs", "climbing")),
    "down": (("falls", "falling"), ("sinks", "sinking")),
    "still": (("stays still", "staying still"), ("does not move", "not moving"), ("rests", "resting")),
    "grow": (("grows", "growing"), ("gets bigger", "getting bigger"), ("swells", "swelling")),
    "shrink": (("shrinks", "shrinking"), ("gets smaller", "getting smaller")),
    "blink": (("blinks", "blinking"), ("flashes", "flashing"), ("flickers", "flickering")),
    "appear": (
        ("appears", "appearing"),
        ("shows up", "showing up"),
        ("comes into being", "coming into being"),
    ),
    "vanish": (("vanishes", "vanishing"), ("disappears", "disappearing"), ("goes away", "going away")),
}
PAN_WORDS = {
    way: (f"while the camera pans {way}", f"as the camera turns {way}", f"with a pan {way}")
    for way in ("left", "right", "up", "down")
}
NOTHING = ("nothing", "nothing to see", "no shapes")
ANYTHING = ("a view", "a look", "something")
JOINTS = (" and ", " and also ", ", and ")
_FILLING = ("a", "an", *NOTHING, *ANYTHING, "and also")
OPENINGS = ("a clip of", "a video of", "footage of", "a scene with", "a picture of")  # before “moving”


def words() -> frozenset[str]:
    """All that can be said."""
    held = [*OPENINGS, *NUMBER_WORDS, *_FILLING]
    held += [form for several in SHAPE_WORDS.values() for forms in several for form in forms]
    held += [form for verb in (*GOING, *(v for verbs in DOING.values() for v in verbs)) for form in verb]
    held += [text for before, behind in TEXTURE_WORDS.values() for text in (*before, *behind)]
    for table in (COLOUR_WORDS, SIZE_WORDS, GROUND_WORDS, PLACE_WORDS, RELATION_WORDS, WHERE_TO, PAN_WORDS):
        held += [text for texts in table.values() for text in texts]
    return frozenset(word for text in held for word in text.split())
