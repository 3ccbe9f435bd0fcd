"""Settings: what is set wins, what cannot be used is named with its reason, all at once."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.settings import (
    CLIENT_VARIABLES,
    ENVIRONMENT_PREFIX,
    Settings,
    read_settings,
    unknown_variables,
    variable_of,
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX)]:
        monkeypatch.delenv(name)


def test_without_an_environment_it_is_one_process_and_one_folder() -> None:
    settings = read_settings()

    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.database_address == f"sqlite:///{Path('.pixeldojo').resolve() / 'pixeldojo.db'}"
    assert settings.blobs_address == str(Path(".pixeldojo").resolve() / "blobs")
    assert (settings.broker_url, settings.limiter_url, settings.secret_key) == (None, None, None)
    assert settings.allow_networks == ()


def test_what_is_handed_in_wins_over_the_environment_and_none_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_PORT", "4000")
    monkeypatch.setenv("PIXELDOJO_HOST", "::1")

    settings = read_settings(port=5000, host=None)

    assert (settings.port, settings.host) == (5000, "::1")
    assert settings.base_url == "http://[::1]:5000"


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("dojo.example.com", False),
    ],
)
def test_a_server_is_local_where_it_listens_to_this_machine_alone(host: str, is_local: bool) -> None:
    assert read_settings(host=host).is_local == is_local


def test_an_empty_variable_is_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = read_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}{name.upper()}", "")

    assert read_settings() == unset


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        ("127.0.0.0/8", ["127.0.0.0/8"]),
        ("127.0.0.0/8,10.1.0.0/16", ["127.0.0.0/8", "10.1.0.0/16"]),
        (" ::1/128 , fd00::/8 ,", ["::1/128", "fd00::/8"]),
        ("192.168.1.7", ["192.168.1.7/32"]),
    ],
)
def test_networks_are_a_list_with_commas(given: str, networks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_ALLOW_NETWORKS", given)
    monkeypatch.setenv("PIXELDOJO_TRUSTED_PROXIES", given)

    settings = read_settings()

    assert settings.allow_networks == settings.trusted_proxies == tuple(ip_network(network) for network in networks)


def test_a_public_address_begins_every_address_without_a_second_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_PUBLIC_URL", "https://dojo.example.com/under/")

    assert read_settings().base_url == "https://dojo.example.com/under"


BAD_VALUES = {
    "DATA_DIR": (" ", "must be the path of a folder"),
    "PORT": ("70000", 'must be 65535 or less (it was "70000")'),
    "PUBLIC_URL": ("dojo.example.com", "must begin with http:// or https://"),
    "SECRET_KEY": ("too short", "must have at least 32 characters"),
    "ALLOW_NETWORKS": ("10.0.0.1/8", "'10.0.0.1/8' is an address in one, write 10.0.0.0/8"),
    "TRUSTED_PROXIES": ("everybody", "must be networks such as 10.1.0.0/16 or fd00::/8; 'everybody' is none"),
    "ALLOW_HTTP": ("perhaps", "must be true or false"),
    "RETENTION_HOURS": ("0", "must be above 0"),
    "RATE_PER_MINUTE": ("0", "must be 1 or more"),
    "PUBLIC_RATE_PER_MINUTE": ("many", "must be a whole number"),
    "MAX_BODY_BYTES": ("12", "must be 1024 or more"),
    "MAX_MEDIA_BYTES": ("-1", "must be 1024 or more"),
    "FAL_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "REPLICATE_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "DASHSCOPE_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "RUNWARE_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "OPENAI_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "GOOGLE_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "XAI_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "WAVESPEED_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "MAGNIFIC_MAX_CONCURRENT": ("0", "must be 1 or more"),
    "MAX_FILE_BYTES": ("12", "must be 1024 or more"),
    "MAX_ACCOUNT_FILE_BYTES": ("12", "must be 1024 or more"),
    "METRICS_PORT": ("-1", "must be 0 or more"),
    "METRICS_TOKEN": ("short", ""),
    "MAGNIFIC_KEY_HEADER": ("x-key", "x-freepik-api-key"),
    "MAX_JOBS_IN_FLIGHT": ("0", "must be 1 or more"),
    "LEASE_SECONDS": ("inf", "must be a finite number"),
    "SWEEP_SECONDS": ("0", "must be above 0"),
    "SHUTDOWN_SECONDS": ("-1", "must be 0 or more"),
    "DRAIN_SECONDS": ("-1", "must be 0 or more"),
    "MEDIA_WORKERS": ("65", "must be 64 or less"),
    "MEDIA_MEMORY_BYTES": ("1024", "must be 268435456 or more"),
    "FIRST_CREDITS": ("-5", "must be 0 or more"),
    "LOG_LEVEL": ("warn", "'debug', 'info', 'warning' or 'error'; did you mean \"warning\"?"),
    "LOG_FORMAT": ("xml", "must be 'json' or 'console'"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_value_that_cannot_be_used_is_named_with_the_reason(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, reason = BAD_VALUES[name]
    monkeypatch.setenv(f"PIXELDOJO_{name}", value)

    with pytest.raises(ConfigurationError) as caught:
        read_settings()

    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith(f"  PIXELDOJO_{name}: ")
    assert reason in line


@pytest.mark.parametrize("value", ["id:secret\r\n", " id:secret", "id:secret\t"])
def test_the_blanks_around_a_credential_are_not_part_of_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", value)

    key = read_settings().fal_key
    assert key is not None
    assert key.get_secret_value() == "id:secret"


@pytest.mark.parametrize("value", ["id:se\ncret", "id:se\x7fcret", "id:sécret"])
def test_a_credential_that_no_header_can_carry_stops_the_start_and_is_not_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", value)

    with pytest.raises(ConfigurationError, match="FAL_KEY: must be the key as its service shows it") as caught:
        read_settings()
    assert "cret" not in str(caught.value)


def test_all_values_that_cannot_be_used_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (value, _) in BAD_VALUES.items():
        monkeypatch.setenv(f"PIXELDOJO_{name}", value)

    with pytest.raises(ConfigurationError) as caught:
        read_settings()

    named = {line.partition(":")[0].strip() for line in str(caught.value).splitlines()[1:]}
    assert named == {f"PIXELDOJO_{name}" for name in BAD_VALUES}


def test_every_setting_that_can_be_wrong_is_in_the_list() -> None:
    texts = (str, str | None, SecretStr | None)
    takes_any_text = {name for name, field in Settings.model_fields.items() if field.annotation in texts}
    is_checked = {name for name in takes_any_text if Settings.model_fields[name].metadata} | {"public_url"}

    assert {name.upper() for name in Settings.model_fields if name not in takes_any_text - is_checked} == set(
        BAD_VALUES
    )


UPSTREAM_ADDRESSES = [name for name in Settings.model_fields if name.endswith(("_base_url", "_jwks_url"))]


@pytest.mark.parametrize("name", UPSTREAM_ADDRESSES)
def test_the_address_of_an_upstream_is_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_of(name), "127.0.0.1:8701")
    with pytest.raises(ConfigurationError, match=f"{variable_of(name)}: must begin with http:// or https://"):
        read_settings()
    monkeypatch.setenv(variable_of(name), "http://127.0.0.1:8701/v1/")
    assert getattr(read_settings(), name) == "http://127.0.0.1:8701/v1"


def test_a_secret_is_not_repeated_in_an_error_nor_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_SECRET_KEY", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert "hunter2" not in str(caught.value)

    monkeypatch.setenv("PIXELDOJO_SECRET_KEY", "hunter2-and-others" * 2)
    assert "hunter2" not in repr(read_settings())


@pytest.mark.parametrize("value", ["0" * 32, "changeme" * 8, "hunter2" * 6, "aA" * 40])
def test_a_secret_that_anybody_would_guess_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_SECRET_KEY", value)
    with pytest.raises(ConfigurationError, match="PIXELDOJO_SECRET_KEY: must be random"):
        read_settings()


def test_an_empty_secret_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELDOJO_SECRET_KEY", "")
    assert read_settings().secret_key is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PIXELDOJO_PROT", '; did you mean "PIXELDOJO_PORT"?'),
        ("PIXELDOJO_ALLOW_NETWORK", '; did you mean "PIXELDOJO_ALLOW_NETWORKS"?'),
        ("pixeldojo_data_dri", '; did you mean "PIXELDOJO_DATA_DIR"?'),
        ("PIXELDOJO_COLOUR", "."),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest(name: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")

    assert unknown_variables() == [f"{name} is not a setting and has no effect{hint}"]


def test_settings_in_any_case_and_variables_of_clients_are_not_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*map(variable_of, Settings.model_fields), *CLIENT_VARIABLES, "pixeldojo_port", "MY_PIXELDOJO_PORT"]:
        monkeypatch.setenv(name, "1")

    assert unknown_variables() == []


def test_settings_do_not_change_after_the_start() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().port = 1
