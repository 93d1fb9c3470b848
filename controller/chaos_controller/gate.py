"""Who is let in: what the gate of every method asks of this daemon."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Gate:
    """The fleet, and certificates (SHA-256, hex) that are let in no more."""

    fleet: str
    revoked: set[str] = field(default_factory=set)

    def is_revoked(self, fingerprint: str) -> bool:
        """Whether this certificate was revoked."""
        return fingerprint in self.revoked

    def revoke(self, fingerprints: Iterable[str]) -> bool:
        """Let these in no more; whether that is news."""
        before = len(self.revoked)
        self.revoked.update(fingerprints)
        return len(self.revoked) > before
