"""The counters of one process, in Prometheus' words and by its rules (https://prometheus.io/docs/practices/naming/).

Owns every name, its labels and its buckets. Labels take few values, none of which a caller can make up: routes are
templates, methods and statuses known ones. docs/operating.md says what each figure is good for, and a test compares.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from pixeldojo.metrics.installation import Installation, installation_text

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
OPEN_CIRCUITS: Final = (
    "pixeldojo_upstream_circuits_open",
    "Parts of an upstream that this process leaves alone, or tries anew, after failures.",
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_SECONDS: Final = (0.005, 0.025, 0.1, 0.25, 1, 5, 30, 60)
_STEP_SECONDS: Final = (0.01, 0.05, 0.25, 1, 5, 30, 120, 600)
_CALL_SECONDS: Final = (0.05, 0.25, 1, 5, 15, 60)
_LATE_SECONDS: Final = (0.1, 1, 5, 30, 120, 600, 3_600)


class Meters:
    """What one process counts, from its start on; nothing is kept elsewhere, so a restart begins at zero."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        Info("pixeldojo_build", "The version that runs.", registry=self._registry).info({"version": version})
        self._requests = Histogram(
            "pixeldojo_http_request_duration_seconds",
            "From the request's arrival to the end of its answer; streams of events last long.",
            ("method", "route", "status"),
            buckets=_REQUEST_SECONDS,
            registry=self._registry,
        )
        self._steps = Histogram(
            "pixeldojo_job_step_duration_seconds",
            "One turn of a step of a job, without the pauses between turns.",
            ("step", "outcome"),
            buckets=_STEP_SECONDS,
            registry=self._registry,
        )
        self._ended = Counter(
            "pixeldojo_jobs_ended",
            "Jobs that this process brought to their end; error is none for those that completed.",
            ("mode", "status", "error"),
            registry=self._registry,
        )
        self._calls = Histogram(
            "pixeldojo_upstream_request_duration_seconds",
            "One HTTP request to an upstream; result is a class of statuses, 429, or why there was none.",
            ("provider", "result"),
            buckets=_CALL_SECONDS,
            registry=self._registry,
        )
        self._errors = Counter(
            "pixeldojo_upstream_errors",
            "Calls of an upstream that went wrong, as its adapter understood the answer.",
            ("provider", "call", "kind"),
            registry=self._registry,
        )
        self._attempts = Histogram(
            "pixeldojo_webhook_attempt_duration_seconds",
            "One attempt to deliver a webhook; outcome is what it left the delivery as.",
            ("outcome",),
            buckets=_CALL_SECONDS,
            registry=self._registry,
        )
        self._lateness = Histogram(
            "pixeldojo_webhook_lateness_seconds",
            "From when an attempt to deliver a webhook was due to its beginning.",
            buckets=_LATE_SECONDS,
            registry=self._registry,
        )
        # They are there only once they are known: nothing is not zero.
        self._faults = Gauge(
            "pixeldojo_ledger_faults", "Rows that the last proof of the ledger found wrong.", registry=None
        )
        self._is_proved = False
        self._proved_at = Gauge("pixeldojo_ledger_proved_timestamp_seconds", "When it was last proved.", registry=None)

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a template of an address."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).observe(seconds)

    def step_taken(self, step: str, outcome: str, seconds: float) -> None:
        """Count a turn of a step."""
        self._steps.labels(step, outcome).observe(seconds)

    def job_ended(self, mode: str, status: str, error: str | None) -> None:
        """Count a job that ended."""
        self._ended.labels(mode, status, error or "none").inc()

    def upstream_called(self, provider: str, result: str, seconds: float) -> None:
        """Count a request to an upstream."""
        self._calls.labels(provider, result).observe(seconds)

    def upstream_failed(self, provider: str, call: str, kind: str) -> None:
        """Count an error of an upstream; `call` is what was asked of it, such as `submit`."""
        self._errors.labels(provider, call, kind).inc()

    def webhook_attempted(self, outcome: str, seconds: float, late_seconds: float) -> None:
        """Count an attempt to deliver a webhook, that began so late."""
        self._attempts.labels(outcome).observe(seconds)
        self._lateness.observe(max(0.0, late_seconds))

    def ledger_proved(self, fault_count: int, at_seconds: float) -> None:
        """Note what the proof of the ledger found, and when (Unix seconds)."""
        if not self._is_proved:
            self._is_proved = True
            self._registry.register(self._faults)
            self._registry.register(self._proved_at)
        self._faults.set(fault_count)
        self._proved_at.set(at_seconds)

    def watch(self, name: str, description: str, count: Callable[[], float]) -> None:
        """Show what a function returns, which is asked whenever the figures are; it must be quick and touch no I/O.

        It may be called from another thread.
        """
        Gauge(name, description, registry=self._registry).set_function(count)

    def watch_each(self, told: tuple[str, str], label: str, counts: Callable[[], Mapping[str, float]]) -> None:
        """Show, under a name and a description, what a function returns by label; as `watch` otherwise."""
        self._registry.register(_Watched(told, label, counts))

    def text(self, installation: Installation | None = None) -> bytes:
        """Return all figures as Prometheus reads them, those of the installation too where they are given."""
        own = generate_latest(self._registry)
        return own if installation is None else own + installation_text(installation)


class _Watched(Collector):
    def __init__(self, told: tuple[str, str], label: str, counts: Callable[[], Mapping[str, float]]) -> None:
        self._told = told
        self._label = label
        self._counts = counts

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily(*self._told, labels=(self._label,))
        for of, count in self._counts().items():
            family.add_metric((of,), count)
        yield family
