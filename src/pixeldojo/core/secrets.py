"""Secrets the server makes: its own key, and the ones that sign webhooks."""

import base64
import secrets

_WEBHOOK_SECRET_BYTES = 32


def new_webhook_secret() -> str:
    """Return a signing secret as Standard Webhooks spells it: `whsec_` and base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_WEBHOOK_SECRET_BYTES)).decode()


def new_server_secret() -> str:
    """Return a secret for `PIXELDOJO_SECRET_KEY`: 256 random bits."""
    return secrets.token_urlsafe(32)
