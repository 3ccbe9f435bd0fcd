"""Every adapter of a real service, by the name that catalog files use: a key, and what is made with it.

Each is imported where its key is set: a start does not wait for what nobody uses here.
"""
# ruff: noqa: PLC0415  see above

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pixeldojo.core.settings import Settings
from pixeldojo.providers.contract import RealProvider

if TYPE_CHECKING:
    from pixeldojo.providers.magnific import MagnificProvider


def build_upstreams(settings: Settings) -> Mapping[str, RealProvider]:
    """Return the adapters whose credentials the operator has set."""
    found: list[RealProvider] = []
    if settings.fal_key:
        from pixeldojo.providers.fal import FalProvider

        found.append(FalProvider(settings.fal_key.get_secret_value(), settings.fal_base_url, settings.fal_jwks_url))
    if settings.replicate_api_token:
        from pixeldojo.providers.replicate import ReplicateProvider

        found.append(ReplicateProvider(settings.replicate_api_token.get_secret_value(), settings.replicate_base_url))
    if settings.dashscope_api_key:
        from pixeldojo.providers.dashscope import DashscopeProvider

        found.append(DashscopeProvider(settings.dashscope_api_key.get_secret_value(), settings.dashscope_base_url))
    if settings.runware_api_key:
        from pixeldojo.providers.runware import RunwareProvider

        found.append(RunwareProvider(settings.runware_api_key.get_secret_value(), settings.runware_base_url))
    if settings.openai_api_key:
        from pixeldojo.providers.openai import OpenAiProvider

        found.append(OpenAiProvider(settings.openai_api_key.get_secret_value(), settings.openai_base_url))
    if settings.gemini_api_key:
        from pixeldojo.providers.google import GoogleProvider

        key = settings.gemini_api_key.get_secret_value()
        found.append(GoogleProvider(key, settings.google_base_url, settings.google_jwks_url))
    if settings.xai_api_key:
        from pixeldojo.providers.xai import XaiProvider

        found.append(XaiProvider(settings.xai_api_key.get_secret_value(), settings.xai_base_url))
    if settings.wavespeed_api_key:
        from pixeldojo.providers.wavespeed import WaveSpeedProvider

        found.append(WaveSpeedProvider(settings.wavespeed_api_key.get_secret_value(), settings.wavespeed_base_url))
    if settings.magnific_api_key:
        found.append(_magnific(settings, settings.magnific_api_key.get_secret_value()))
    return {provider.name: provider for provider in found}


def _magnific(settings: Settings, key: str) -> "MagnificProvider":
    from pixeldojo.providers.magnific import MagnificProvider

    secret = settings.magnific_webhook_secret
    return MagnificProvider(
        key,
        settings.magnific_base_url,
        secret.get_secret_value() if secret else "",
        settings.magnific_key_header,
    )
