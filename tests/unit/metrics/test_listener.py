"""The listener of processes without HTTP: it shows figures, to whoever has the token, and ends when told."""

import http.client
import socket

import pytest

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.metrics.listener import metrics_listener
from pixeldojo.metrics.meters import CONTENT_TYPE, Meters


def ask(port: int, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()
    finally:
        connection.close()


def test_it_shows_the_figures_as_they_are_now_and_nothing_else() -> None:
    meters = Meters("1.2.3")
    with metrics_listener(meters.text, "127.0.0.1", 0, None) as port:
        status, content_type, body = ask(port)
        assert (status, content_type) == (200, CONTENT_TYPE)
        assert b'pixeldojo_build_info{version="1.2.3"} 1.0' in body
        assert b"process_cpu_seconds_total" in body
        meters.job_ended("test", "completed", None)
        assert b'pixeldojo_jobs_ended_total{error="none",mode="test",status="completed"} 1.0' in ask(port)[2]
        assert ask(port, "/")[0] == 404
        assert ask(port, method="POST")[0] == 404
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_with_a_token_it_wants_the_token() -> None:
    with metrics_listener(lambda: b"figures", "127.0.0.1", 0, "s3cret token") as port:
        assert ask(port)[0] == 401
        assert ask(port, Authorization="Bearer s3cret")[0] == 401
        assert ask(port, Authorization="Basic s3cret token")[0] == 401
        assert ask(port, Authorization="Bearer s3cret token") == (200, CONTENT_TYPE, b"figures")


def test_one_who_connects_and_says_nothing_keeps_nobody_waiting() -> None:
    with (
        metrics_listener(lambda: b"figures", "127.0.0.1", 0, None) as port,
        socket.create_connection(("127.0.0.1", port)),
    ):
        assert ask(port)[0] == 200


def test_an_address_that_is_taken_is_told_with_what_to_set() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} .*PIXELDOJO_METRICS_PORT"),
            metrics_listener(lambda: b"", "127.0.0.1", port, None),
        ):
            """Not reached."""
