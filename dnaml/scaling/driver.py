"""Scales beside an engine: a watcher that notes what happens, and a thread that forecasts, orders and gives back.

The engine's thread only appends to a list; everything else is done in the thread here and in the carrier's. What is
replayed at a restart is not acted on: past demand comes from the state folder (`memory.py`), machines are taken over
or given back.
"""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from dnaml.core.events import (
    AttemptEnded,
    AttemptStarted,
    CancelRequested,
    Command,
    EndJob,
    Event,
    Explain,
    ResourceDown,
    ResourceUp,
    StartAttempt,
    Submitted,
    Tick,
)
from dnaml.engine import Engine, Watcher
from dnaml.execution.autoscaling import Autoscaler
from dnaml.execution.notices import Labelled
from dnaml.execution.providers.carrier import Carrier
from dnaml.execution.providers.dry_run import DryRun
from dnaml.execution.providers.local import LocalProcesses
from dnaml.execution.providers.spending import Spending
from dnaml.predict.demand.forecaster import LEVELS
from dnaml.predict.demand.standard import standard
from dnaml.scaling.memory import Held, Memory, recalled, remember
from dnaml.scaling.plan import Scaling
from dnaml.scaling.profiles import Profiles
from dnaml.scaling.told import ScalingTold, told
from dnaml.schedule.scaling import Scaler, ScalingSettings, choose

HEARD = frozenset({Submitted, CancelRequested, AttemptStarted, AttemptEnded, ResourceUp, ResourceDown})
_log = logging.getLogger(__name__)


class Driver(Watcher):
    """Hands everything on to the watcher it was given; `begin` it with the engine, `close` it before the engine."""

    def __init__(self, inner: Watcher, plan: Scaling) -> None:
        self.plan = plan
        self._inner = inner
        self._news: deque[Event | EndJob] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- told by the engine ------------------------------------------------------------------------------------------

    def replayed(self, event: Event, commands: Sequence[Command]) -> None:
        """Hand a stored event on: what was decided then was carried out then."""
        self._inner.replayed(event, commands)

    def happened(self, event: Event) -> None:
        """Note an event, and hand it on."""
        if type(event) in HEARD:
            self._news.append(event)
        self._inner.happened(event)

    def starting(self, command: StartAttempt) -> bool:
        """Hand a start on."""
        return self._inner.starting(command)

    def ended(self, command: EndJob, outcome: bytes | None, parts: Sequence[bytes] = ()) -> None:
        """Note a job's end, and hand it on."""
        self._news.append(command)
        self._inner.ended(command, outcome, parts)

    def explained(self, command: Explain) -> None:
        """Hand on why a job waits."""
        self._inner.explained(command)

    def decided(self, commands: Sequence[Command], took_s: float) -> None:
        """Hand on what was decided."""
        self._inner.decided(commands, took_s)

    def broke(self, error: BaseException) -> None:
        """Hand on what ended the loop."""
        self._inner.broke(error)

    # -- begin and end -----------------------------------------------------------------------------------------------

    def begin(self, engine: Engine) -> None:
        """Take over what an earlier engine left, and start deciding."""
        plan = self.plan
        self._folder, self._now_s = engine.state.root, engine.now_s
        template = choose(plan.templates)
        memory = recalled(self._folder, template.name, plan.bin_s)
        self._scaler = Scaler(
            template,
            lambda ahead: standard(ahead, plan.bin_s, trained=plan.trained),
            settings_of(plan),
            lambda computation: plan.guess_s,
        )
        self._notices = Labelled(engine.post, self._now_s)
        profiles = Profiles(plan.probes, engine.post, self._now_s)

        def post(event: Event) -> None:
            self._notices.see(event)
            profiles(event)

        self._spending = Spending(plan.most_usd, before_usd=memory.spent_usd)
        self._carrier = self._dry() if plan.dry_run else self._carrying(memory, post)
        self._scaling = Autoscaler(self._scaler, self._carrier, None if plan.dry_run else engine.post)
        self._kept = ""
        self._latest = self._as_of(self._now_s())
        self._thread = threading.Thread(target=self._run, args=(memory,), name="dnaml-scaling", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop deciding, remember what was seen, and give the machines back, or keep them for the next engine."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join(60.0)
        self._notices.stop()
        if isinstance(self._carrier, Carrier):
            self._keep()  # lest an end by force in the middle leave machines that nobody knows of
            self._carrier.close(release=not self.plan.keeps_machines)
        self._keep()
        self._thread = None

    def told(self) -> ScalingTold:
        """Return what is forecast, wanted, there and coming, and what was decided of late, as of the last round."""
        return self._latest

    # -- inside ------------------------------------------------------------------------------------------------------

    def _dry(self) -> DryRun:
        like = self.plan.labelled()[self._scaler.template.name]
        return DryRun(lambda line: _log.info("scaling, dry run: %s", line), self._news.append, self._now_s, like)

    def _carrying(self, memory: Memory, post: Callable[[Event], None]) -> Carrier:
        templates = self.plan.labelled()
        providers = self.plan.providers
        if providers is None:
            providers = (LocalProcesses(templates, most=self.plan.most_machines),)

        run = secrets.token_hex(4)
        carrier = Carrier(providers, post, self._now_s, self._spending, self.plan.carrying, run=run)
        for held in memory.machines:
            like = templates.get(held.template)
            if like is not None and carrier.adopt(replace(like, id=held.id), held.provider, memory.at_s):
                _log.info("%s of an earlier engine is taken over", held.id)
        return carrier.start()

    def _run(self, memory: Memory) -> None:
        """Take in what happened, decide, remember; every few seconds until the end."""
        at_s = self._now_s()
        past = memory.until(at_s)
        if past:
            bins = int(max(0.0, at_s - memory.end_s) / memory.bin_s)
            self._scaler.remember(past, memory.end_s + bins * memory.bin_s, memory.leads_s)
        while not self._stop.wait(self.plan.every_s):
            self._round()

    def _round(self) -> None:
        """Take in the news in order, then decide at this moment."""
        at_s = self._now_s()
        while self._news:
            news = self._news.popleft()
            if isinstance(news, EndJob):
                self._scaling.over(news.job_id)
            else:
                self._scaling(news)
        closed_s = self._scaler.closed_s
        self._scaling(Tick(at_s=max(at_s, self._now_s())))
        self._latest = self._as_of(self._now_s())
        for one in self._latest.decisions:
            if one.at_s >= at_s and not self.plan.dry_run:
                _log.info("scaling: %ss %s: %s", one.what, one.which, one.reason)
        if closed_s != self._scaler.closed_s or self._machines() != self._kept:
            self._keep()

    def _as_of(self, at_s: float) -> ScalingTold:
        refused = tuple(self._carrier.refused) if isinstance(self._carrier, Carrier) else ()
        spent_usd = self._spending.usd(at_s)
        return told(self.plan, self._scaler, self._scaling, at_s=at_s, spent_usd=spent_usd, refused=refused)

    def _machines(self) -> str:
        return ",".join(self._carrier.machines) if isinstance(self._carrier, Carrier) else ""

    def _keep(self) -> None:
        """Write what a next engine needs."""
        closed_s, at_s = self._scaler.closed_s, self._now_s()
        owners = self._carrier.owners() if isinstance(self._carrier, Carrier) else {}
        self._kept = self._machines()
        template = self._scaler.template.name
        remember(
            self._folder,
            Memory(
                template=template,
                bin_s=self.plan.bin_s,
                at_s=at_s,
                end_s=closed_s if closed_s is not None else at_s,
                work_s=list(self._scaler.past_s),
                leads_s=list(self._scaler.lead.seen_s),
                spent_usd=self._spending.usd(at_s),
                machines=[Held(id=name, template=template, provider=by, since_s=at_s) for name, by in owners.items()],
            ),
        )


def settings_of(plan: Scaling) -> ScalingSettings:
    """Return the settings of the scaler behind a plan."""
    return ScalingSettings(
        levels=LEVELS,
        bin_s=plan.bin_s,
        least_machines=plan.least_machines,
        most_machines=plan.most_machines,
        most_usd_per_h=plan.most_usd_per_h,
        release_after_bins=plan.release_after_bins,
        budget_share=plan.budget_share,
        wait_target_s=plan.wait_target_s,
        short_usd_per_h=plan.short_usd_per_h,
    )
