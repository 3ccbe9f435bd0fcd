"""Every adapter of a real service, by the name that catalog files use: two lines here for each."""

from collections.abc import Mapping

from pixeldojo.core.settings import Settings
from pixeldojo.providers.contract import RealProvider
from pixeldojo.providers.dashscope import DashscopeProvider
from pixeldojo.providers.fal import FalProvider
from pixeldojo.providers.google import GoogleProvider
from pixeldojo.providers.magnific import MagnificProvider
from pixeldojo.providers.openai import OpenAiProvider
from pixeldojo.providers.replicate import ReplicateProvider
from pixeldojo.providers.runware import RunwareProvider
from pixeldojo.providers.wavespeed import WaveSpeedProvider
from pixeldojo.providers.xai import XaiProvider


def build_upstreams(settings: Settings) -> Mapping[str, RealProvider]:
    """Return the adapters whose credentials the operator has set."""
    found: list[RealProvider] = []
    if settings.fal_key:
        found.append(FalProvider(settings.fal_key.get_secret_value(), settings.fal_base_url, settings.fal_jwks_url))
    if settings.replicate_api_token:
        found.append(ReplicateProvider(settings.replicate_api_token.get_secret_value(), settings.replicate_base_url))
    if settings.dashscope_api_key:
        found.append(DashscopeProvider(settings.dashscope_api_key.get_secret_value(), settings.dashscope_base_url))
    if settings.runware_api_key:
        found.append(RunwareProvider(settings.runware_api_key.get_secret_value(), settings.runware_base_url))
    if settings.openai_api_key:
        found.append(OpenAiProvider(settings.openai_api_key.get_secret_value(), settings.openai_base_url))
    if settings.gemini_api_key:
        key = settings.gemini_api_key.get_secret_value()
        found.append(GoogleProvider(key, settings.google_base_url, settings.google_jwks_url))
    if settings.xai_api_key:
        found.append(XaiProvider(settings.xai_api_key.get_secret_value(), settings.xai_base_url))
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
