"""A linter for a GAN of one's own: ``print(audit(game, source))`` before a long run. One file per kind of check."""

from manypaths.testing.audit.page import Audit, audit

__all__ = ["Audit", "audit"]
