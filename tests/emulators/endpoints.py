"""Which endpoints an emulator has: those that the catalog names, and what the model behind each makes."""

from pixeldojo.catalog.load import Catalog


def endpoints_of(catalog: Catalog, provider: str) -> dict[str, str]:
    """Return the kind of output by endpoint."""
    return {
        upstream.endpoint: model.output.kind
        for model in catalog.models
        for upstream in model.upstreams
        if upstream.provider == provider
    }
