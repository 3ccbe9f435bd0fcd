"""POST /callbacks/{provider}/{jobId}: handed on as it came, and a forger soon has to wait."""

from collections.abc import Mapping
from typing import Final

from tests.api.dojo import Dojo

from pixeldojo.core.errors import Forbidden, NotFound, ServiceUnavailable

ADDRESS: Final = "/api/v1/callbacks/fal/job_1"


class Desk:
    """Takes callbacks in, or refuses them as it is told."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.taken: list[tuple[str, str, Mapping[str, str], bytes, str]] = []

    async def take(self, provider: str, job_id: str, headers: Mapping[str, str], body: bytes, token: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.taken.append((provider, job_id, headers, body, token))


async def test_a_callback_is_handed_on_as_it_came(dojo: Dojo) -> None:
    desk = Desk()
    dojo.build(take_callback=desk.take)
    body = b'{ "status": "OK" }\n'
    reply = await dojo.stranger.send("POST", ADDRESS, body=body, headers={"X-Fal-Webhook-Signature": "Ab"})
    assert (reply.status, reply.body) == (204, b"")
    [(provider, job_id, headers, taken, token)] = desk.taken
    assert (provider, job_id, headers["x-fal-webhook-signature"], taken, token) == ("fal", "job_1", "Ab", body, "")


async def test_the_token_of_the_address_is_handed_on(dojo: Dojo) -> None:
    desk = Desk()
    dojo.build(take_callback=desk.take)
    assert (await dojo.stranger.send("POST", f"{ADDRESS}?token=abc", body=b"{}")).status == 204
    assert [token for *_, token in desk.taken] == ["abc"]


async def test_refusals_are_answers(dojo: Dojo) -> None:
    for refusal, status in (
        (NotFound("No upstream 'fal' calls back here."), 404),
        (Forbidden("The callback's signature is not fal's."), 403),
        (ServiceUnavailable("The callback's signature cannot be checked now.", headers={"Retry-After": "60"}), 503),
    ):
        dojo.build(take_callback=Desk(refusal).take)
        reply = await dojo.stranger.send("POST", ADDRESS, body=b"{}")
        assert reply.status == status
        assert reply.error["message"] == str(refusal)


async def test_forgers_have_to_wait_and_upstreams_do_not(dojo: Dojo) -> None:
    desk = Desk(Forbidden("The callback's signature is not fal's."))
    dojo.build(take_callback=desk.take)
    statuses = [(await dojo.stranger.send("POST", ADDRESS, body=b"{}")).status for _ in range(62)]
    assert statuses == [403] * 60 + [429] * 2
    desk.refusal = None
    assert (await dojo.stranger.send("POST", ADDRESS, body=b"{}")).status == 204


async def test_a_server_without_upstreams_has_no_callbacks(dojo: Dojo) -> None:
    reply = await dojo.stranger.send("POST", ADDRESS, body=b"{}")
    assert reply.status == 404
    assert "'fal'" in reply.error["message"]
