"""The sandbox: an upstream of our own that draws real files, costs nothing and can rehearse trouble."""

from pixeldojo.providers.sandbox.adapter import CallLedger, Draw, DrawingFailed, OpenInput, SandboxProvider
from pixeldojo.providers.sandbox.rehearsal import Rehearsal, parse_rehearsal

__all__ = [
    "CallLedger",
    "Draw",
    "DrawingFailed",
    "OpenInput",
    "Rehearsal",
    "SandboxProvider",
    "parse_rehearsal",
]
