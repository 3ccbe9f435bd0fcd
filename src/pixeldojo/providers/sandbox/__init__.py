"""The sandbox: an upstream that draws real files on this machine, costs nothing, and fails on request."""

from pixeldojo.providers.sandbox.adapter import SandboxProvider
from pixeldojo.providers.sandbox.rehearsal import Rehearsal, parse_rehearsal

__all__ = ["Rehearsal", "SandboxProvider", "parse_rehearsal"]
