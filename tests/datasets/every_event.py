"""One event of every kind, with every field that may be absent present somewhere."""

from dnaml.core import events as ev
from dnaml.core.attempt import AttemptState, Cause, Checkpoint, Placement, Stored, Usage
from dnaml.core.events import Event
from dnaml.core.resource import Kind, Resource, ResourceState, Site, UnitType
from dnaml.core.work import Computation, Constraints, Job, Objective, Resilience

JOB = Job(
    id="a",
    computation_id="fit",
    submitted_at_s=1.5,
    name="naïve \u2603 \x00",
    units=(1, 4),
    priority=-3,
    objective=Objective(cost=2.0),
    constraints=Constraints(deadline_s=9.0, kinds=(Kind.CPU, Kind.GPU), labels={"zone": "a"}, resource_ids=("r0",)),
    resilience=Resilience(replicas=2, checkpoint_every_s=0.5, max_restarts=1),
    idempotency_key="k",
)
FIT = Computation(
    id="fit", kernel="fit", size={"n": 1e6}, demand={"flop": 1e12}, memory_bytes=2**40, checkpointable=True
)
RESOURCE = Resource(
    id="gpu0",
    kind=Kind.GPU,
    site=Site.CLOUD,
    unit_type=UnitType.TENSOR_CORE,
    slots=2,
    memory_bytes=80 * 2**30,
    price_usd_per_h=0.1,
    spec={"fp64_flop_per_s": 3.3e13},
    environment={"OMP_NUM_THREADS": "1"},
)
PLACEMENT = Placement(
    job_id="a", resource_id="gpu0", units=2, share=0.5, replica=1, checkpoint_every_s=0.1, part=1, parts=2, start=0.5
)
CHECKPOINT = Checkpoint(id="a/1", attempt_id="a.1", taken_at_s=3.0, progress=0.25, size_bytes=10)
USAGE = Usage(wall_s=2.0, cpu_s=1.5, blocked_s=0.25, peak_memory_bytes=7, energy_j=3.5, telemetry={"read_bytes": 5.0})
RESULT = Stored(segment=1, offset=2**40, size_bytes=3, digest="0" * 64)
EVERY_KIND: tuple[Event, ...] = (
    ev.Configured(at_s=0.0, policy="matching", model="m-1", objective=Objective(), seed=7, settings={"cores": 2.0}),
    ev.ResourceUp(at_s=0.1, resource=RESOURCE),
    ev.ResourceRefreshed(at_s=0.2, state=ResourceState(resource_id="gpu0", at_s=0.2, load=0.5, available=False)),
    ev.Submitted(at_s=1.5, job=JOB, computation=FIT),
    ev.Settled(at_s=1.5),
    ev.AttemptStarted(
        at_s=2.0, attempt_id="a.1", epoch=1, job_id="a", placement=PLACEMENT, pid=42, log="x.log", log_start=9
    ),
    ev.AttemptProgressed(at_s=2.5, attempt_id="a.1", epoch=1, progress=0.2, used_s=0.4),
    ev.CheckpointSealed(at_s=3.0, attempt_id="a.1", epoch=1, checkpoint=CHECKPOINT, write_s=0.01),
    ev.MigrateRequested(at_s=3.1, job_id="a", resource_id="cpu1"),
    ev.InterruptionNotice(at_s=3.2, resource_id="gpu0", gone_at_s=123.2, reason="spot"),
    ev.CancelRequested(at_s=3.5, job_id="a", running=True),
    ev.AttemptEnded(
        at_s=4.0,
        attempt_id="a.1",
        epoch=1,
        outcome=AttemptState.LOST,
        usage=USAGE,
        error='ValueError: "no"\n',
        result=RESULT,
        log=(9, 12),
        began=False,
        cause=Cause.DIED,
    ),
    ev.ModelChanged(at_s=4.1, model="m-2"),
    ev.ResourceDown(at_s=4.2, resource_id="gpu0", reason="gone"),
    ev.Resumed(at_s=5.0),
    ev.Tick(at_s=6.0),
    ev.Settled(at_s=1.7e9 + 1 / 3),
)
