"""Every setting, read from the environment here and nowhere else.

A setting is one field: its name in upper case behind `PIXELDOJO_` is the environment variable (credentials have the
name that the service's own client reads), its description is what `pixeldojo-server settings` and docs/settings.md
print.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.near_miss import nearest
from pixeldojo.core.pydantic_errors import Problem, complaint_of, demand_of

ENVIRONMENT_PREFIX = "PIXELDOJO_"
CLIENT_VARIABLES = frozenset({"PIXELDOJO_URL", "PIXELDOJO_API_KEY"})
"""What clients of the API read, so that a shell may well have them; the server does not."""
# All names begin alike, so that they must be liker than other words to be taken for one another.
_LIKENESS = 0.84
# Different ones: 32 random characters of any alphabet have more.
_FEWEST_SECRET_CHARACTERS = 8
Network: TypeAlias = IPv4Network | IPv6Network


def _most_at_a_time(service: str) -> Any:
    return Field(
        None,
        ge=1,
        description=f"Jobs that {service} has at a time, from all workers; others wait their turn. Default: no limit.",
    )


class Settings(BaseSettings):
    """What an operator can set. The defaults are the embedded set-up: one process, one folder."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        validate_by_name=True,
        loc_by_alias=False,
    )

    data_dir: Path = Field(
        Path(".pixeldojo"),
        description="Folder of the embedded set-up: database, media, the first key and the server's secret.",
    )
    host: str = Field("127.0.0.1", description="Address the HTTP server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the HTTP server listens on; 0 takes a free one.")
    public_url: str | None = Field(
        None,
        description="Address under which clients reach the server, such as https://dojo.example.com; it begins "
        "every statusUrl and asset address. Default: http://HOST:PORT.",
    )
    database_url: str | None = Field(
        None,
        description="postgresql://user:password@host/name, or sqlite:///path. Default: DATA_DIR/pixeldojo.db.",
    )
    blobs_url: str | None = Field(
        None,
        description="Where media lie: a folder, s3://bucket/prefix, gs://bucket or az://container. "
        "Default: DATA_DIR/blobs.",
    )
    broker_url: str | None = Field(
        None,
        description="redis://host:port of a Valkey or Redis that hands jobs to workers. Default: in process, "
        "which only `up` can use.",
    )
    limiter_url: str | None = Field(
        None,
        description="redis://host:port where rate limits are counted for all nodes. Default: BROKER_URL, else "
        "in this process.",
    )
    secret_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="At least 32 characters that only the servers know; API keys are stored as hashes keyed with "
        "it. `up` makes one in DATA_DIR; `serve` and `worker` refuse to start without it.",
    )
    allow_networks: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks, comma-separated (127.0.0.0/8,10.1.0.0/16), that webhooks and media addresses may "
        "point into although they are private. `up` adds loopback.",
    )
    allow_http: bool = Field(
        False,
        description="Accept plain http:// addresses for webhooks and media on the public internet too.",
    )
    retention_hours: float = Field(
        24.0, gt=0, le=24 * 365, description="How long a job and its assets live after the job ended."
    )
    rate_per_minute: int = Field(
        60, ge=1, description="Requests a minute for a key that has no rate of its own, over all endpoints."
    )
    public_rate_per_minute: int = Field(
        600, ge=1, description="Requests a minute from one address to discovery and assets, which need no key."
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="Networks of reverse proxies whose X-Forwarded-For is believed for limits by address.",
    )
    max_body_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, description="Largest request body; larger ones are refused unread."
    )
    max_media_bytes: int = Field(
        512 * 1024 * 1024, ge=1024, description="Largest media file fetched as an input or copied as an output."
    )
    max_file_bytes: int = Field(
        100_000_000, ge=1024, description="Largest file that POST /files takes; MAX_BODY_BYTES does not apply to it."
    )
    max_account_file_bytes: int = Field(
        2_000_000_000, ge=1024, description="What the uploads of one account may have together, until they expire."
    )
    max_jobs_in_flight: int = Field(
        10_000, ge=1, description="Jobs one worker process carries at a time; more wait in the database."
    )
    lease_seconds: float = Field(
        15.0,
        ge=1,
        description="How long a worker may be silent before another takes its jobs over; renewed at a third.",
    )
    sweep_seconds: float = Field(
        1.0, gt=0, description="How often a worker looks for steps that are due and messages that were lost."
    )
    shutdown_seconds: float = Field(
        10.0, ge=0, description="How long a stopping server waits for requests and upstream calls under way."
    )
    drain_seconds: float = Field(
        5.0,
        ge=0,
        description="How long a `serve` node that SIGTERM stops still takes requests while `/readyz` says 503, so that "
        "load balancers turn away first.",
    )
    media_workers: int = Field(
        2, ge=1, le=64, description="Processes that decode, measure and draw media, apart from the event loop."
    )
    media_memory_bytes: int = Field(
        4 * 1024**3, ge=256 * 1024**2, description="Address space one media process may take before it is refused."
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="What Prometheus sends as a bearer token to read /metrics. Without it, /metrics answers only this "
        "machine, and only while no PUBLIC_URL is set.",
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port, at HOST, where a `worker` shows its own /metrics; 0 takes a free one. Default: none.",
    )
    first_credits: int = Field(
        1_000, ge=0, description="Sandbox credits that `up` grants the account it creates on first start."
    )
    fal_key: SecretStr | None = Field(
        None, alias="FAL_KEY", description="Key of fal.ai, `id:secret`; with it, live keys reach the models fal hosts."
    )
    fal_base_url: str = Field("https://queue.fal.run", description="Address of fal's queue.")
    fal_jwks_url: str = Field(
        "https://rest.fal.ai/.well-known/jwks.json",
        description="Where fal publishes the keys that sign its callbacks.",
    )
    replicate_api_token: SecretStr | None = Field(
        None,
        alias="REPLICATE_API_TOKEN",
        description="API token of Replicate; with it, live keys reach the models Replicate hosts.",
    )
    replicate_base_url: str = Field(
        "https://api.replicate.com/v1", description="Address of Replicate's API, with its version."
    )
    dashscope_api_key: SecretStr | None = Field(
        None,
        alias="DASHSCOPE_API_KEY",
        description="API key of DashScope, Alibaba Cloud's Model Studio; with it, live keys reach its models.",
    )
    dashscope_base_url: str = Field(
        "https://dashscope.aliyuncs.com/api/v1",
        description="Address of DashScope's API, with its version; a key is of one region, and this is Beijing's.",
    )
    runware_api_key: SecretStr | None = Field(
        None, alias="RUNWARE_API_KEY", description="API key of Runware; with it, live keys reach the models it hosts."
    )
    runware_base_url: str = Field(
        "https://api.runware.ai/v1", description="Address of Runware's API, with its version."
    )
    openai_api_key: SecretStr | None = Field(
        None, alias="OPENAI_API_KEY", description="API key of OpenAI; with it, live keys reach its image models."
    )
    openai_base_url: str = Field("https://api.openai.com/v1", description="Address of OpenAI's API, with its version.")
    gemini_api_key: SecretStr | None = Field(
        None, alias="GEMINI_API_KEY", description="API key of Google's Gemini API; with it, live keys reach its models."
    )
    google_base_url: str = Field(
        "https://generativelanguage.googleapis.com/v1beta",
        description="Address of Google's Gemini API, with its version.",
    )
    google_jwks_url: str = Field(
        "https://generativelanguage.googleapis.com/.well-known/jwks.json",
        description="Where Google publishes the keys that sign its callbacks.",
    )
    xai_api_key: SecretStr | None = Field(
        None, alias="XAI_API_KEY", description="API key of xAI; with it, live keys reach its models."
    )
    xai_base_url: str = Field("https://api.x.ai/v1", description="Address of xAI's API, with its version.")
    wavespeed_api_key: SecretStr | None = Field(
        None, alias="WAVESPEED_API_KEY", description="API key of WaveSpeedAI; with it, live keys reach its models."
    )
    wavespeed_base_url: str = Field("https://api.wavespeed.ai", description="Address of WaveSpeedAI's API.")
    magnific_api_key: SecretStr | None = Field(
        None,
        alias="MAGNIFIC_API_KEY",
        description="API key of Magnific, which was Freepik; with it, live keys reach its models.",
    )
    magnific_base_url: str = Field(
        "https://api.magnific.com/v1",
        description="Address of Magnific's API, with its version; https://api.freepik.com/v1 answers the same.",
    )
    magnific_key_header: Literal["x-magnific-api-key", "x-freepik-api-key"] = Field(
        "x-magnific-api-key", description="Header that carries Magnific's key; Freepik's address wants its own."
    )
    magnific_webhook_secret: SecretStr | None = Field(
        None,
        description="What Magnific signs its callbacks with, from its dashboard; without it, its jobs are polled.",
    )
    fal_max_concurrent: int | None = _most_at_a_time("fal")
    replicate_max_concurrent: int | None = _most_at_a_time("Replicate")
    dashscope_max_concurrent: int | None = _most_at_a_time("DashScope")
    runware_max_concurrent: int | None = _most_at_a_time("Runware")
    openai_max_concurrent: int | None = _most_at_a_time("OpenAI")
    google_max_concurrent: int | None = _most_at_a_time("Google")
    xai_max_concurrent: int | None = _most_at_a_time("xAI")
    wavespeed_max_concurrent: int | None = _most_at_a_time("WaveSpeedAI")
    magnific_max_concurrent: int | None = _most_at_a_time("Magnific")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines; console for people (`up` on a terminal uses it by default)."
    )

    @field_validator("allow_networks", "trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(_read_network(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator("secret_key")
    @classmethod
    def _refuse_what_anybody_would_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(set(value.get_secret_value())) < _FEWEST_SECRET_CHARACTERS:
            raise ValueError("must be random; it repeats the same few characters (`openssl rand -hex 32` makes one)")
        return value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _refuse_blank_folder(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("must be the path of a folder; leave the variable out to get .pixeldojo")
        return value

    @field_validator("*")
    @classmethod
    def _check_upstream_address(cls, value: object, field: ValidationInfo) -> object:
        is_address = (field.field_name or "").endswith(("_base_url", "_jwks_url"))
        return cls._strip_slash(value) if is_address and isinstance(value, str) else value

    @field_validator("*")
    @classmethod
    def _trim_credentials(cls, value: object, field: ValidationInfo) -> object:
        """Take off the line end that files of keys have; a key that no header can carry stops the start, not a job."""
        if not isinstance(value, SecretStr) or cls.model_fields[field.field_name or ""].alias is None:
            return value
        key = value.get_secret_value().strip()
        if not key.isascii() or not key.isprintable():
            raise ValueError("must be the key as its service shows it, in one line of ASCII characters")
        return SecretStr(key)

    @field_validator("public_url")
    @classmethod
    def _strip_slash(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value is not None else None

    @property
    def base_url(self) -> str:
        """The address clients use, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether the server listens to this machine alone."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def callback_base(self) -> str | None:
        """The address that upstreams call back, without a slash at the end; None where they cannot reach us."""
        if self.public_url is None or not self.public_url.startswith("https://"):
            return None
        return f"{self.public_url}/api/v1/callbacks"

    @property
    def max_concurrent(self) -> Mapping[str, int]:
        """How many jobs an upstream has at a time, by provider, where there is a limit."""
        ending = "_max_concurrent"
        limits = {name.removesuffix(ending): getattr(self, name) for name in type(self).model_fields if ending in name}
        return {provider: most for provider, most in limits.items() if most is not None}

    @property
    def database_address(self) -> str:
        """The database's address, embedded or given."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'pixeldojo.db'}"

    @property
    def blobs_address(self) -> str:
        """The media store's address, embedded or given."""
        return self.blobs_url or str(self.data_dir.resolve() / "blobs")


def read_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; keyword arguments win.

    Raises:
        ConfigurationError: naming every variable that cannot be used, and why.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        lines = [_complaint(problem) for problem in error.errors()]
        raise ConfigurationError("Settings that cannot be used:\n  " + "\n  ".join(lines)) from error


def unknown_variables() -> list[str]:
    """Return a sentence for each variable of the environment that has our prefix and is no setting.

    They are told and not refused: a cluster's service links and the version before or after this one bring their own.
    """
    known = [variable_of(name) for name in Settings.model_fields]
    ours = sorted(name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX))
    return [
        f"{name} is not a setting and has no effect{nearest(name.upper(), known, _LIKENESS) or '.'}"
        for name in ours
        if name.upper() not in CLIENT_VARIABLES.union(known)
    ]


def variable_of(name: str) -> str:
    """Return the environment variable of a setting; credentials have the name that the service's own client reads."""
    return Settings.model_fields[name].alias or f"{ENVIRONMENT_PREFIX}{name.upper()}"


def _complaint(problem: Problem) -> str:
    name = str(problem["loc"][0])
    is_secret = "Secret" in str(Settings.model_fields[name].annotation)
    return f"{variable_of(name)}: {demand_of(problem) if is_secret else complaint_of(problem)}"


def _read_network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"must be networks such as 10.1.0.0/16 or fd00::/8; {text!r} is none") from None
    raise ValueError(f"must be networks; {text!r} is an address in one, write {meant}")
