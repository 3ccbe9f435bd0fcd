"""Every adapter, by the name that catalog files use."""

from collections.abc import Mapping

from pixeldojo.providers.contract import Provider


def build_providers(*providers: Provider) -> Mapping[str, Provider]:
    """Return the adapters that are set up, by name."""
    return {provider.name: provider for provider in providers}
