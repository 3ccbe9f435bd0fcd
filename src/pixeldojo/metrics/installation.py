"""Figures of the whole installation, the same whichever process tells them: what stands in the database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Installation:
    """What waits, at one moment; with `is_database_up` false nothing else is known.

    Attributes:
        open_jobs: Jobs that have not ended, by mode and status.
        oldest_pending_seconds: By mode, for how long the oldest job waits that no upstream was asked for yet.
        step_overdue_seconds: For how long the step waits that has been due longest and that no living worker holds.
        webhooks_pending: Deliveries that will be attempted again.
        webhook_overdue_seconds: For how long the delivery waits that has been due longest and that nobody holds.
    """

    is_database_up: bool
    open_jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest_pending_seconds: Mapping[str, float] = field(default_factory=dict)
    step_overdue_seconds: float = 0.0
    webhooks_pending: int = 0
    webhook_overdue_seconds: float = 0.0


def installation_text(installation: Installation) -> bytes:
    """Return the figures as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(installation))
    return generate_latest(registry)


class _Told(Collector):
    def __init__(self, installation: Installation) -> None:
        self._told = installation

    def collect(self) -> Iterable[Metric]:
        told = self._told
        yield _gauge("pixeldojo_database_up", "Whether the database answers.", {(): float(told.is_database_up)})
        if not told.is_database_up:
            return
        yield _gauge(
            "pixeldojo_jobs_open",
            "Jobs that have not ended.",
            {labels: float(count) for labels, count in told.open_jobs.items()},
            "mode",
            "status",
        )
        yield _gauge(
            "pixeldojo_jobs_oldest_pending_seconds",
            "Age of the oldest job that no upstream was asked for yet.",
            {(mode,): seconds for mode, seconds in told.oldest_pending_seconds.items()},
            "mode",
        )
        yield _gauge(
            "pixeldojo_job_steps_overdue_seconds",
            "For how long the step has been due that waits longest without a worker.",
            {(): told.step_overdue_seconds},
        )
        yield _gauge(
            "pixeldojo_webhooks_pending", "Webhooks to be sent, now or later.", {(): float(told.webhooks_pending)}
        )
        yield _gauge(
            "pixeldojo_webhooks_overdue_seconds",
            "For how long the webhook has been due that waits longest without a worker.",
            {(): told.webhook_overdue_seconds},
        )


def _gauge(name: str, description: str, values: Mapping[tuple[str, ...], float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, f"{description} Of the whole installation.", labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
