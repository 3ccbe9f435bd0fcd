"""Every adapter of a real service, by the name that catalog files use: two lines here for each."""

from collections.abc import Mapping

from pixeldojo.core.settings import Settings
from pixeldojo.providers.contract import RealProvider
from pixeldojo.providers.fal import FalProvider
from pixeldojo.providers.magnific import MagnificProvider
from pixeldojo.providers.replicate import ReplicateProvider
from pixeldojo.providers.wavespeed import WaveSpeedProvider


def build_upstreams(settings: Settings) -> Mapping[str, RealProvider]:
    """Return the adapters whose credentials the operator has set."""
    found: list[RealProvider] = []
    if settings.fal_key:
        found.append(FalProvider(settings.fal_key.get_secret_value(), settings.fal_base_url, settings.fal_jwks_url))
    if settings.replicate_api_token:
        found.append(ReplicateProvider(settings.replicate_api_token.get_secret_value(), settings.replicate_base_url))
    if settings.wavespeed_api_key:
        found.append(WaveSpeedProvider(settings.wavespeed_api_key.get_secret_value(), settings.wavespeed_base_url))
    if settings.magnific_api_key:
        found.append(_magnific(settings, settings.magnific_api_key.get_secret_value()))
    return {provider.name: provider for provider in found}


def _magnific(settings: Settings, key: str) -> MagnificProvider:
    secret = settings.magnific_webhook_secret
    return MagnificProvider(
        key,
        settings.magnific_base_url,
        secret.get_secret_value() if secret else "",
        settings.magnific_key_header,
    )
