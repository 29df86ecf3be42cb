"""The service behind the routes: one engine on a state folder, what it told, and what its clients may do.

It knows no HTTP. Everything here may be called from several threads; what takes long is called off the event loop.
"""

import hashlib
import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dnaml.answers.demands import with_known_demand
from dnaml.answers.pool import keep, known_resources, replace_all
from dnaml.answers.rows import OVER
from dnaml.client import default_policy, default_predictor, usable_cores
from dnaml.client import known_resources as resources_or_this_machine
from dnaml.core import events as ev
from dnaml.core.errors import InputError, NotFoundError, RepeatedKeyError
from dnaml.core.resource import Resource, Site
from dnaml.core.work import Computation, Objective
from dnaml.datasets.state import StateFolder
from dnaml.engine import Engine
from dnaml.execution.autoscaling import LABEL
from dnaml.execution.notices import LABEL as NOTICE
from dnaml.execution.notices import Labelled
from dnaml.history import JobView
from dnaml.logbook import watching
from dnaml.rest.allowed import AllowList
from dnaml.rest.auth import Tokens
from dnaml.rest.live import Live, LiveListener
from dnaml.rest.notes import Notes, RepeatNote
from dnaml.rest.oracle import Oracle
from dnaml.rest.problems import Problem
from dnaml.rest.settings import ServiceSettings
from dnaml.rest.submitting import Json, Rules, read_request, with_demand
from dnaml.rest.trainings import Trainings
from dnaml.scaling import plan_of, scaled
from dnaml.submission import Accepted, accepted

SEAL_S = 2.0  # so long may running jobs take for a last checkpoint at the end
_PART = "\x1f"  # between a key and the place in its batch; no key of a client holds it
_log = logging.getLogger(__name__)


class Service:
    """An engine with an index of all it did, for several tenants. Raises StateInUseError where an engine runs."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.tokens = Tokens(settings.tokens)
        allowed = AllowList(settings.allow)
        allowed.load()
        self.rules = Rules(allowed=allowed, argv=settings.allow_argv, root=settings.root.resolve())
        folder = Path(settings.state)
        base = settings.of_engine()
        elsewhere = base.open_backend is not None
        given = settings.resources
        pool = given if given is not None else () if elsewhere else resources_or_this_machine(folder)
        self.live = Live(StateFolder(folder))
        self.objective = Objective.of(settings.objective)
        self.started_at_s = time.time()
        self.draining = False
        self.decided: Callable[[float], None] = lambda took_s: None  # hears how long a plan took
        self._ids = itertools.count(1)
        self._prefix = f"{secrets.token_hex(4)}-"
        self._submitting = tuple(threading.Lock() for _ in range(256))  # a request waits only for its own key
        self._declared = {one.id: one for one in known_resources(folder) if one.site is not Site.LOCAL}
        cores = dict.fromkeys({one.domain for one in pool if one.site is Site.LOCAL}, settings.cores or usable_cores())
        self._drivable = {one.id: one for one in pool}
        self._known: tuple[Resource, ...] | None = None
        plan = plan_of(settings.scaling)
        if elsewhere or plan is not None:
            self.live.listeners.append(_Joining(self))
        watcher, self._end_tracking = watching(self.live, folder)
        self.scaling = scaled(watcher, plan)
        self.engine = Engine(
            folder,
            default_policy(),
            default_predictor(),
            self.objective,
            self.scaling or watcher,
            replace(base, controller=replace(base.controller, cores=cores)),
        )
        self._notices = Labelled(self.engine.post, self.engine.now_s)
        self._notices.came(*pool)
        self.engine.add_resources(*pool)
        if self.scaling is not None:
            self.scaling.begin(self.engine)
        self.oracle = Oracle(self.live, self.resources)
        self.notes = Notes(self.engine.state.root)
        self.trainings = Trainings(folder)
        self._probing = threading.Lock()
        self.repeats: dict[str, RepeatNote] = {}
        for note in self.notes.read():
            if isinstance(note, RepeatNote):
                self.repeats[note.job_id] = note
            else:
                self.live.jobs_of(note.tenant).computations.setdefault(note.computation.id, note.computation)

    # -- resources ---------------------------------------------------------------------------------------------------

    def resources(self) -> tuple[Resource, ...]:
        """Return every resource: those on which work runs, then those only declared; one value until they change."""
        known = self._known
        if known is None:
            known = self._known = (*self._drivable.values(), *self._declared.values())
        return known

    def pool(self) -> tuple[Resource, ...]:
        """Return the resources on which work can run."""
        return tuple(self._drivable.values())

    def resource(self, resource_id: str) -> Resource:
        """Return a resource; raise NotFoundError."""
        found = self._drivable.get(resource_id) or self._declared.get(resource_id)
        if found is None:
            raise NotFoundError(f"no resource {resource_id!r}")
        return found

    def can_run_on(self, resource_id: str) -> bool:
        """Say whether a resource takes work at present."""
        return resource_id in self._drivable and resource_id not in self.live.down

    def add_resource(self, resource: Resource) -> None:
        """Offer a resource, or replace the description of one; it is kept in the state folder."""
        if resource.environment:
            raise InputError(f"{resource.id}: environment: is not taken over REST; write it into resources.toml")
        if NOTICE in resource.labels:  # an address that this process would ask, or a file that it would read
            raise InputError(f"{resource.id}: label {NOTICE} is not taken over REST; write it into resources.toml")
        if resource.site is not Site.LOCAL:
            self.declare([resource])
            return
        keep(self.settings.state, [resource])
        self._offer(resource)

    def _offer(self, resource: Resource) -> None:
        self._drivable[resource.id] = resource
        self._known = None
        self._notices.came(resource)
        self.engine.add_resources(resource)

    def joined(self, resource: Resource) -> None:
        """Take in a resource that the back end brought itself."""
        self._drivable[resource.id] = resource
        self._known = None

    def left(self, resource_id: str) -> None:
        """Forget a machine that scaling gave back; other resources may come again."""
        resource = self._drivable.get(resource_id)
        if resource is not None and LABEL in resource.labels:
            self._drivable = {name: one for name, one in self._drivable.items() if name != resource_id}
            self._known = None

    def declare(self, resources: Sequence[Resource]) -> None:
        """Keep resources that are predicted and planned for, though nothing can be started on them from here."""
        keep(self.settings.state, resources)
        self._declared.update((one.id, one) for one in resources)
        self._known = None

    def probe(self, resource_id: str) -> Resource:
        """Measure a resource of this machine and keep its profile.

        A Problem has status 409 while one is measured, 503 where this machine is too busy to.
        """
        from dnaml.telemetry.profile import ProbeTimeout, profile_resource

        target = self.resource(resource_id)
        if target.site is not Site.LOCAL:
            raise InputError(f"{resource_id}: is {target.site.value}; only resources of this machine can be measured")
        if not self._probing.acquire(blocking=False):
            raise Problem(409, "a resource is being measured already", kind="conflict")
        try:
            profiled = profile_resource(target)
        except ProbeTimeout as error:
            raise Problem(503, str(error), kind="busy", headers={"Retry-After": "60"}) from error
        finally:
            self._probing.release()
        keep(self.settings.state, [profiled])
        self._offer(profiled)
        return profiled

    def remove_resource(self, resource_id: str) -> None:
        """Withdraw a resource; what runs on it goes on elsewhere."""
        self.resource(resource_id)
        replace_all(self.settings.state, [one for one in known_resources(self.settings.state) if one.id != resource_id])
        if self._drivable.pop(resource_id, None) is not None:
            reason = "removed by its owner"
            gone = ev.ResourceDown(at_s=self.engine.now_s(), resource_id=resource_id, reason=reason)
            self._notices.see(gone)
            self.engine.post(gone)
        self._declared.pop(resource_id, None)
        self._known = None

    # -- jobs --------------------------------------------------------------------------------------------------------

    def submit(self, bodies: Sequence[Json], *, tenant: str, key: str | None, raw: bytes) -> list[str]:
        """Accept jobs, all or none, and return their ids: when this returns, they survive a crash.

        With an idempotency key the same request again gives the same ids, whatever happened meanwhile.
        """
        self.check_admits(tenant, len(bodies))
        if key is None:
            return self._accept([self._prepared(body, tenant) for body in bodies])
        digest = hashlib.sha256(raw).hexdigest()
        keys = [key, *(f"{key}{_PART}{n}" for n in range(1, len(bodies)))]
        with self._submitting[hash((tenant, key)) % len(self._submitting)]:
            found = self._submitted_before(tenant, keys, digest)
            if found is None:
                prepared = [self._prepared(body, tenant, one) for body, one in zip(bodies, keys, strict=True)]
                found = self._accept_once(prepared, digest)
        return found

    def check_admits(self, tenant: str, count: int) -> None:
        """Raise a Problem while the service takes no jobs, or no more of a tenant."""
        if self.draining or self.live.broken is not None:
            raise Problem(503, "the service is ending and takes no jobs", kind="draining", headers={"Retry-After": "5"})
        most = self.settings.limits.open_jobs
        if self.live.jobs_of(tenant).open + count > most:
            told = f"{tenant}: at most {most} jobs may be unfinished"
            raise Problem(429, told, kind="queue-full", headers={"Retry-After": "10"})

    def job(self, tenant: str, job_id: str) -> JobView:
        """Return a tenant's job; raise NotFoundError, also for another's."""
        view = self.live.job(tenant, job_id)
        if view is None:
            raise NotFoundError(f"no job {job_id!r}")
        return view

    def cancel(self, tenant: str, job_id: str) -> JobView:
        """Ask that a job end; a Problem with status 409 for one that has ended."""
        view = self.job(tenant, job_id)
        if view.state in OVER:
            raise Problem(409, f"job {view.id} has already ended: it is {view.state.value}", kind="conflict")
        self.engine.post(ev.CancelRequested(at_s=self.engine.now_s(), job_id=view.id, running=True))
        return view

    def migrate(self, view: JobView, resource_id: str | None) -> None:
        """Ask that a running job go on elsewhere."""
        self.engine.post(ev.MigrateRequested(at_s=self.engine.now_s(), job_id=view.id, resource_id=resource_id))

    def seal(self, view: JobView) -> None:
        """Ask every running attempt of a job for a checkpoint at its next save."""
        entry = self.engine.controller.ledger.open.get(view.id)
        for attempt in list(entry.live.values()) if entry is not None else ():
            self.engine.backend.do(ev.SealCheckpoint(attempt_id=attempt.id, epoch=attempt.epoch))
        self.engine.post(ev.Tick(at_s=self.engine.now_s()))  # commands are carried out at the end of a moment

    def repeat(self, view: JobView, rtol: float, atol: float) -> str:
        """Accept a job once more with what it brought; its payload is moved unread. Return the new id."""
        self.check_admits(view.job.tenant, 1)
        payload = self.live.history.payload(view.id)
        new_id, at_s = self._prefix + format(next(self._ids), "x"), self.engine.now_s()
        job = replace(view.job, id=new_id, submitted_at_s=at_s, idempotency_key=None)
        note = RepeatNote(job_id=new_id, of=view.id, rtol=rtol, atol=atol)
        self.notes.add(note)
        self.repeats[new_id] = note
        return self._accept([(job, view.computation, payload)])[0]

    def known_computation(self, tenant: str, computation_id: str) -> Computation | None:
        """Return a computation that a tenant described or ran."""
        return self.live.jobs_of(tenant).computations.get(computation_id)

    # -- the end -----------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take no more jobs, end the streams, and have what runs and can write a last checkpoint."""
        if not self.draining:
            self.draining = True
            self.live.hub.close()
            self._sealing = threading.Thread(target=self.engine.drain, args=(SEAL_S,), daemon=True)
            self._sealing.start()

    def close(self) -> None:
        """End the engine: what runs is taken up again by the next one, from its newest checkpoint."""
        self.drain()
        self.trainings.close()
        self._sealing.join(SEAL_S)
        self._notices.stop()
        if self.scaling is not None:
            self.scaling.close()
        self.engine.close()
        self._end_tracking()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _accept(self, prepared: Sequence[Accepted]) -> list[str]:
        """Hand jobs to the engine and return their ids; they survive power loss then."""
        self.engine.submit(*prepared, durable=True)
        for job, computation, _ in prepared:
            self.live.expect(ev.Submitted(at_s=job.submitted_at_s, job=job, computation=computation))
        return [job.id for job, _, _ in prepared]

    def _accept_once(self, prepared: Sequence[Accepted], digest: str) -> list[str]:
        """Hand jobs with keys to the engine; the last flush covers all, and a repeated request finds each."""
        found = []
        for place, (job, computation, payload) in enumerate(prepared, 1):
            payload.request_digest = digest
            job_id = self.engine.submit_once(job, computation, payload, durable=place == len(prepared))
            known = replace(job, id=job_id)
            self.live.expect(ev.Submitted(at_s=job.submitted_at_s, job=known, computation=computation))
            found.append(job_id)
        return found

    def _submitted_before(self, tenant: str, keys: Sequence[str], digest: str) -> list[str] | None:
        """Return the ids that keys gave before, None unless all did; raise RepeatedKeyError for another request."""
        found = []
        for key in keys:
            known = self.engine.store.admission.accepted_before(tenant, key)
            if known is None:
                return None
            if known[1] != digest:
                told = f"Idempotency-Key {keys[0]!r}: was used before with another request, for job {known[0]}"
                raise RepeatedKeyError(told)
            if known[0] not in self.live.history.jobs:
                return None  # accepted before a crash, and on its way into the journal: what follows finds it
            found.append(known[0])
        return found

    def _prepared(self, body: Json, tenant: str, key: str | None = None) -> Accepted:
        request = read_request(body, self.rules)
        request = with_demand(request, self.known_computation(tenant, request.computation.id))
        computation = with_known_demand(request.computation, self.settings.state)
        request = replace(request, computation=computation)
        call = request.call(self.pool(), tenant=tenant, key=key)
        job_id = self._prefix + format(next(self._ids), "x")
        return accepted(call, job_id=job_id, at_s=self.engine.now_s(), started=request.started)


class _Joining(LiveListener):
    """Tells the service of resources that its back end or scaling brings and takes away."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def joined(self, resource: Resource) -> None:
        """Hand it on."""
        self._service.joined(resource)

    def left(self, resource_id: str) -> None:
        """Hand it on."""
        self._service.left(resource_id)
