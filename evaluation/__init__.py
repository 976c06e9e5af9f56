"""How good answers are, by the measures that papers print."""
