"""Whether the service lives and is ready; the two routes that need no token; and the metrics."""

from fastapi import Request
from starlette.responses import Response

from dnaml.execution.release import release
from dnaml.rest.auth import Scope
from dnaml.rest.declare import Declared, Routes, answer
from dnaml.rest.metrics import MEDIA_TYPE
from dnaml.rest.schemas import Health

routes = Routes("operations", prefix="")


@routes.add("GET", "/healthz", Declared(scope=None, answer=Health))
async def healthz(request: Request) -> Response:
    """Say that the process lives."""
    return answer(Health(status="ok", version=release()))


@routes.add("GET", "/readyz", Declared(scope=None, answer=Health, further=(503,)))
async def readyz(request: Request) -> Response:
    """Say whether jobs are accepted; 503 while the service starts, ends or has failed."""
    service = getattr(request.app.state, "service", None)
    reasons = []
    if service is None:
        reasons.append("starting")
    elif service.draining:
        reasons.append("ending")
    elif service.live.broken is not None:
        reasons.append("the engine has stopped")
    if reasons:
        return answer(Health(status="not ready", reasons=reasons), 503, **{"Retry-After": "1"})
    return answer(Health(status="ready", version=release()))


@routes.add("GET", "/metrics", Declared(scope=Scope.READ, answer={"type": "string"}, media_type="text/plain"))
async def get_metrics(request: Request) -> Response:
    """Return what Prometheus reads."""
    return Response(request.app.state.metrics.text(), media_type=MEDIA_TYPE)
