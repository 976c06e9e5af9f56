"""Claims to English: the same claim in many words, and never more nor less than it."""

from __future__ import annotations

from collections.abc import Sequence

from extractor.world.chance import Chance
from extractor.world.lexicon import (
    ANYTHING,
    COLOUR_WORDS,
    DOING,
    GOING,
    GROUND_WORDS,
    JOINTS,
    NOTHING,
    NUMBER_WORDS,
    OPENINGS,
    PAN_WORDS,
    PLACE_WORDS,
    RELATION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    TEXTURE_WORDS,
    WHERE_TO,
    Verb,
)
from extractor.world.query import Named, Query

_OPENED = 0.25  # of sentences
_BEHIND = 0.25  # of textures are told behind the shape
_OWN_VERB = 0.4  # of what goes up or down


def sentence(query: Query, chance: Chance) -> str:
    """The claim in words, as captions are written: no capital, no full stop."""
    opened = chance.yes(_OPENED)
    words = [chance.one(OPENINGS)] if opened else []
    has_things = bool(query.things)
    words.append(_things(query, chance, is_finite=not opened) if has_things else _number(query, chance))
    if query.ground:
        words.append(chance.one(GROUND_WORDS[query.ground]))
    if query.pan:
        words.append(chance.one(PAN_WORDS[query.pan]))
    return " ".join(word for word in words if word)


def _number(query: Query, chance: Chance) -> str:
    """So many things, or only what is behind them."""
    if query.count is None:
        return chance.one(ANYTHING)
    if query.count == 0:
        return chance.one(NOTHING)
    one, several = chance.one(SHAPE_WORDS[""])
    return f"{NUMBER_WORDS[query.count]} {one if query.count == 1 else several}"


def _things(query: Query, chance: Chance, is_finite: bool) -> str:
    if query.no_more:
        count = len(query.things)
        return f"{NUMBER_WORDS[count]} {_noun(query.things[0], chance, is_one=count == 1)}"
    told = [
        _told(each, chance, is_finite and not (number == 1 and query.relation))
        for number, each in enumerate(query.things)
    ]
    if query.relation is not None:
        first, second, *rest = told
        told = [f"{first} {chance.one(RELATION_WORDS[query.relation])} {second}", *rest]
    counted = "" if query.count is None else f"{_number(query, chance)}: "
    return counted + _joined(told, chance)


def _joined(told: Sequence[str], chance: Chance) -> str:
    """“a, b and c”."""
    if len(told) < 2:
        return told[0]
    last = chance.one(JOINTS)
    return ", ".join(told[:-1]) + last + told[-1]


def _told(named: Named, chance: Chance, is_finite: bool) -> str:
    """“a red star in the middle moves left”."""
    noun = _noun(named, chance, is_one=True)
    words = [("an " if noun[0] in "aeiou" else "a ") + noun]
    if named.place:
        words.append(chance.one(PLACE_WORDS[named.place]))
    if named.motion:
        words.append(_motion(named.motion, chance, is_finite))
    return " ".join(words)


def _noun(named: Named, chance: Chance, is_one: bool) -> str:
    """“large striped red star”."""
    words = [chance.one(SIZE_WORDS[named.size])] if named.size else []
    behind = ""
    if named.texture:
        before, after = TEXTURE_WORDS[named.texture]
        if chance.yes(_BEHIND):
            behind = f" {chance.one(after)}"
        else:
            words.append(chance.one(before))
    if named.colour:
        words.append(chance.one(COLOUR_WORDS[named.colour]))
    words.append(chance.one(SHAPE_WORDS[named.shape])[0 if is_one else 1])
    return " ".join(words) + behind


def _motion(motion: str, chance: Chance, is_finite: bool) -> str:
    if motion not in WHERE_TO or (motion in DOING and chance.yes(_OWN_VERB)):
        return _verb(chance.one(DOING[motion]), is_finite)
    return f"{_verb(chance.one(GOING), is_finite)} {chance.one(WHERE_TO[motion])}"


def _verb(verb: Verb, is_finite: bool) -> str:
    return verb[0] if is_finite else verb[1]
