"""GET /metrics: Prometheus text with base units; counted from what the engine tells, gauges read when asked."""

import math
from collections import deque
from collections.abc import Iterator
from platform import python_version

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnaml.answers.judged import judged
from dnaml.answers.rows import job_row
from dnaml.core.protocols import Run
from dnaml.engine import HEALTH
from dnaml.execution.release import release
from dnaml.history import JobView
from dnaml.rest.live import LiveListener
from dnaml.rest.service import Service

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_WAITS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_600, 10_800, 36_000)
_RATIOS = (0.1, 0.25, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0)
_DECISIONS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_REMEMBERED = 1_000
_OF_DEVICES = (
    ("hw_gpu_utilization", "Busy share of a GPU.", "busy_share"),
    ("hw_gpu_memory_usage_bytes", "Memory of a GPU in use.", "memory_used_bytes"),
    ("hw_power_watts", "Electrical power of a device.", "power_w"),
    ("hw_temperature_celsius", "Temperature of a device, of the host its hottest sensor.", "temperature_c"),
)


class Metrics(LiveListener):
    """What Prometheus reads of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        kept = self._registry
        self._wait = Histogram("dnaml_job_wait_seconds", "Until its start.", buckets=_WAITS, registry=kept)
        self._duration = Histogram("dnaml_job_duration_seconds", "From start to end.", buckets=_WAITS, registry=kept)
        self._error = Histogram(
            "dnaml_prediction_error_ratio", "Measured over predicted median runtime.", buckets=_RATIOS, registry=kept
        )
        self._decided = Histogram(
            "dnaml_decision_seconds",
            "Time of a decision: of a job, and of a plan over REST.",
            buckets=_DECISIONS,
            registry=kept,
        )
        self._cost = Counter("dnaml_cost_usd", "What ended attempts cost, US dollars.", registry=kept)
        self._inside: deque[bool] = deque(maxlen=_REMEMBERED)
        self._registry.register(self)
        service.live.listeners.append(self)
        service.decided = self.decided

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    # -- told by the engine ------------------------------------------------------------------------------------------

    def waited(self, wait_s: float) -> None:
        """Count how long a job waited for its first start."""
        self._wait.observe(max(0.0, wait_s))

    def ran(self, job_id: str, run: Run) -> None:
        """Count an ended attempt against its prediction."""
        decision = self._service.live.decision(job_id)
        if decision is None or run.censored or run.failed:
            return
        found = judged(decision, run.computation.kernel, run.resource.id, run.runtime_s, run.at_s)
        if found is not None:
            self._error.observe(math.exp(found.log_ratio))
            self._inside.append(found.inside)

    def ended(self, view: JobView) -> None:
        """Count a job that has ended."""
        row = job_row(view, self._service.live.history)
        if row.started_at_s is not None and view.ended_at_s is not None:
            self._duration.observe(max(0.0, view.ended_at_s - row.started_at_s))
        if row.cost_usd is not None and row.cost_usd > 0:
            self._cost.inc(row.cost_usd)

    def decided(self, each_s: float, count: int = 1) -> None:
        """Count decisions made together: where jobs go, or a plan that was asked for."""
        for _ in range(count):
            self._decided.observe(each_s)

    # -- asked by Prometheus -----------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """Yield what is read when asked."""
        service = self._service
        live = service.live
        yield _gauge(
            "dnaml_queue_jobs", "Jobs that have not ended.", sum(one.open for one in list(live.tenants.values()))
        )
        if self._inside:
            share = sum(self._inside) / len(self._inside)
            told = f"Share of the last {_REMEMBERED} runs inside the predicted band of 10 to 90 %."
            yield _gauge("dnaml_prediction_interval_coverage", told, share)
        yield CounterMetricFamily("dnaml_migrations", "Jobs that moved on request or for gain.", live.tally.migrations)
        yield CounterMetricFamily("dnaml_failovers", "Attempts lost with their resource.", live.tally.failovers)
        yield CounterMetricFamily("dnaml_rows_refused", "Run rows that nothing was learned from.", live.tally.refused)
        degraded = int((service.engine.state.root / HEALTH).exists() or live.broken is not None)
        yield _gauge("dnaml_degraded", "1 while predictions fall back or the engine has stopped.", degraded)
        available = GaugeMetricFamily("dnaml_resource_available", "1 while it takes work.", labels=["resource_id"])
        for one in service.pool():
            available.add_metric([one.id], int(service.can_run_on(one.id)))
        yield available
        info = GaugeMetricFamily("dnaml_build_info", "What runs.", labels=["version", "python"])
        info.add_metric([release(), python_version()], 1)
        yield info
        yield from _device()


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value)


def _device() -> Iterator[Metric]:
    """Yield what this machine and its GPUs do, under OpenTelemetry's names; what no sensor tells is absent."""
    import psutil

    from dnaml.telemetry.host import hottest_c
    from dnaml.telemetry.nvml import gpus, state_of

    yield _gauge("system_cpu_utilization", "Busy share of all cores.", psutil.cpu_percent(None) / 100.0)
    states = {f"gpu{index}": state_of(index) for index in range(len(gpus()))}
    host_c = hottest_c()
    if host_c is not None:
        states["host"] = {"temperature_c": host_c}
    for name, told, key in _OF_DEVICES:
        found = GaugeMetricFamily(name, told, labels=["hw_id"])
        for device, state in states.items():
            if key in state:
                found.add_metric([device], state[key])
        if found.samples:
            yield found
