"""Whether a key may run an input here: a live key needs an upstream that is set up and takes it, a test key nothing.

Owns the errors that say so. Leaves raising them to runs, telling of them beforehand to estimates, and the choice among
several upstreams to the catalog.
"""

from pixeldojo.accounts.keys import ApiKey, KeyMode
from pixeldojo.api.run_body import RunBody
from pixeldojo.api.services import Services
from pixeldojo.core.errors import Forbidden, PixelDojoError, ServiceUnavailable


def live_refusal(services: Services, key: ApiKey, wanted: RunBody) -> PixelDojoError | None:
    """Return what a run with this key and body is refused with for want of an upstream; None where it has one.

    A `Forbidden` stays so on every server; a `ServiceUnavailable` passes when the operator sets an upstream up.
    """
    model = wanted.model
    if key.mode != KeyMode.LIVE or services.live_upstreams(model, wanted.taken.input):
        return None
    if model.sandbox_only:
        return Forbidden(
            f"{model.id} runs on the sandbox only; nothing was charged. {model.sandbox_only} Use a pd_test_ key."
        )
    if services.has_upstream(model):
        return ServiceUnavailable(
            f"No upstream of {model.id} that is set up on this server for live keys takes this input; nothing was "
            "charged. POST to the model's /estimate to see which inputs one takes.",
            headers={"Retry-After": "60"},
        )
    return ServiceUnavailable(
        f"No upstream of {model.id} is set up on this server for live keys; nothing was charged. A pd_test_ key "
        "runs it on the sandbox.",
        headers={"Retry-After": "60"},
    )
