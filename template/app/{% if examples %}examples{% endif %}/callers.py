"""The caller as a value of the domain, without the request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserAgent:
    """The `User-Agent` header (RFC 9110, 10.1.5)."""

    text: str

    @property
    def product(self) -> str:
        """Return the first product, without its version."""
        return self.text.partition(" ")[0].partition("/")[0]
