"""Who calls, as far as the domain wants to know: a value, and no request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserAgent:
    """What the caller says of itself (RFC 9110, 10.1.5)."""

    text: str

    @property
    def product(self) -> str:
        """Return the first product, without its version."""
        return self.text.partition(" ")[0].partition("/")[0]
