"""Under which licence weights are: facts from their publishers' pages, by model and tag."""

from __future__ import annotations

from fnmatch import fnmatchcase

UNKNOWN = "unknown: see the model's page"

APACHE, MIT = "Apache-2.0", "MIT"
APPLE = "Apple, for research only"
NO_COMMERCE = "CC-BY-NC-4.0: no commercial use"

_LICENCES = (  # the first pattern that fits MODEL/TAG
    ("PE-Core-*/meta", APACHE),
    ("*-SigLIP2*/webli", APACHE),
    ("*-SigLIP*/webli", APACHE),
    ("*-CLIPA*/*", APACHE),
    ("MobileCLIP*/*", APPLE),
    ("*/dfn*", APPLE),
    ("*/metaclip*", NO_COMMERCE),
    ("ViTamin-*/*", MIT),
    ("*/openai", MIT),
    ("coca_*/*", MIT),
    ("*/laion*", MIT),
    ("*/*laion5b_*", MIT),
    ("*/datacomp_*", MIT),
    ("*/commonpool_*", MIT),
)


def licence_of(variant: str) -> str:
    """Of open_clip's MODEL/TAG."""
    return next((licence for pattern, licence in _LICENCES if fnmatchcase(variant, pattern)), UNKNOWN)
