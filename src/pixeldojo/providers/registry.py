"""Every adapter of a real service, by the name that catalog files use: two lines here for each."""

from collections.abc import Mapping

from pixeldojo.core.settings import Settings
from pixeldojo.providers.contract import RealProvider
from pixeldojo.providers.fal import FalProvider
from pixeldojo.providers.replicate import ReplicateProvider


def build_upstreams(settings: Settings) -> Mapping[str, RealProvider]:
    """Return the adapters whose credentials the operator has set."""
    found: list[RealProvider] = []
    if settings.fal_key:
        found.append(FalProvider(settings.fal_key.get_secret_value(), settings.fal_base_url, settings.fal_jwks_url))
    if settings.replicate_api_token:
        found.append(ReplicateProvider(settings.replicate_api_token.get_secret_value(), settings.replicate_base_url))
    return {provider.name: provider for provider in found}
