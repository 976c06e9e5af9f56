"""Everyday sentences of which nothing in the world is true: what a question from outside is learned by.

Each split has nouns, verbs and places of its own, so that what was learned is not the words.
"""

from __future__ import annotations

from extractor.world.chance import Chance
from extractor.world.drawn import Split
from extractor.world.lexicon import COLOUR_WORDS, GROUND_WORDS, SIZE_WORDS

_WHO = (
    "man|woman|child|dog|cook|runner|teacher|band|crowd|bird|horse|driver|doctor|farmer|baby|nurse|reporter|"
    "fisherman|singer|painter|police officer|skater|waiter|couple|goat|elephant|mechanic|judge|pilot|clown|"
    "choir|sailor|tourist|climber|cow|monkey|barber|priest|soldier|swimmer",
    "girl|boy|cat|chef|cyclist|student|orchestra|audience|duck|sheep|passenger|surgeon|gardener|toddler|"
    "plumber|journalist|surfer|drummer|sculptor|firefighter|dancer|barista|family|pig|lion|carpenter|lawyer|"
    "astronaut|magician|guitarist|hiker|bee|rabbit|tailor|monk|grandmother|goalkeeper|wrestler|dolphin|actor",
)
_DOES = (
    "cooks a soup|runs a marathon|reads a newspaper|plays the piano|talks to the camera|washes a car|sleeps|"
    "drinks coffee|opens a parcel|paints a fence|speaks on the phone|rides a bicycle|feeds the pigeons|"
    "laughs|climbs a ladder|cuts an onion|throws a ball|dances at a wedding|folds a letter|waves|"
    "ties a shoe|swims in a pool|jumps into the snow|sings a song|writes an email|shakes hands",
    "bakes bread|lifts weights|watches television|plays chess|gives a speech|mows the garden|yawns|"
    "pours milk|unwraps a present|builds a shed|sends a message|drives a lorry|walks the puppy|skis downhill|"
    "peels a potato|kicks a football|cheers at a concert|irons a shirt|fixes the roof|brushes the teeth|"
    "claps|dives from a boat|rolls in mud|hums a tune|signs a contract|bites into a burger|hugs a friend",
)
_THING = (
    "car|train|sofa|laptop|cake|bridge|airport|ticket|invoice|phone|mountain road|kitchen|market|hospital|"
    "stadium|umbrella|newspaper|church|camera|boat|election|budget|goal|meeting|guitar|window|forest|sunset|"
    "supermarket|shoe|passport|piano|dinner|museum|receipt|bus",
    "truck|tram|armchair|printer|pizza|tunnel|harbour|suitcase|report|tablet|highway|bathroom|bakery|pharmacy|"
    "theatre|hat|magazine|castle|fountain|ferry|parliament|salary|penalty|lecture|violin|door|jungle|sunrise|"
    "warehouse|glove|wallet|drum|breakfast|library|password|taxi",
)
_WHERE = (
    "in the kitchen|at the station|in a crowded street|on the sofa|at the office|in the rain|on a stage|"
    "behind the house|at the airport|in a classroom|on television|during the interview|by the river|"
    "after the match|in hospital|downtown|at a party",
    "in the bathroom|at the harbour|on a busy motorway|in bed|at the factory|in a thunderstorm|on a balcony|"
    "next to the garage|at the hotel|in a courtroom|in the news|during the lecture|beside the stadium|"
    "before the show|at the dentist|in the village|at a funeral",
)
_ASKED = (
    "how to {thing}|the quarterly {thing} budget|who won the {thing}|weather forecast for {thing}|"
    "cheap {thing} near me|where is my {thing}|{thing} and {thing2}|breaking news about the {thing}",
    "what is a {thing}|annual {thing} statistics|when does the {thing} open|price of a {thing}|"
    "best {thing} of the year|a lesson about the {thing}|{thing} or {thing2}|interview with the {who}",
)
_FORMS = (
    *("{a} {who} {does}", "{a} {who} {does} {where}", "{a} {thing} {where}", "two people and {a} {thing}"),
    *("{a} {look} {thing}", "{a} {look} {thing} {ground}", "{a} {who} with {a} {look} {thing}", "{asked}"),
)
_LOOKS = tuple(words[0] for words in (*COLOUR_WORDS.values(), *SIZE_WORDS.values()))
_GROUNDS = tuple(words[0] for words in GROUND_WORDS.values())


def everyday(split: Split, seed: int, count: int) -> list[str]:
    """So many; in some of them words of the world tell of what is not in it."""
    chance = Chance(split, seed, "everyday")
    return [_one(chance, 0 if split == "train" else 1) for _ in range(count)]


def _one(chance: Chance, half: int) -> str:
    def pick(lists: tuple[str, str]) -> str:
        return chance.one(lists[half].split("|"))

    parts = {
        "a": chance.one(("a", "the", "one")),
        "who": pick(_WHO),
        "does": pick(_DOES),
        "where": pick(_WHERE),
        "thing": pick(_THING),
        "look": chance.one(_LOOKS),
        "ground": chance.one(_GROUNDS),
    }
    parts["asked"] = pick(_ASKED).format(**parts, thing2=pick(_THING))
    return chance.one(_FORMS).format(**parts)
