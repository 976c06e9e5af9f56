"""The nouns and the store. Everything else imports this, and this imports nothing of the rest."""

__version__ = "0.1.0"
