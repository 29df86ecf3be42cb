"""One service from start to end in this process: socket first, then the engine, then requests."""

import gc
import json
from collections.abc import Callable

from dnaml.core.errors import MissingExtra
from dnaml.execution.descriptors import raise_limit
from dnaml.rest.app import create_app
from dnaml.rest.logs import install_logs
from dnaml.rest.server import listen, serve
from dnaml.rest.service import Service
from dnaml.rest.settings import ServiceSettings


def run_service(
    settings: ServiceSettings,
    *,
    tls: tuple[str, str] | None = None,
    say: Callable[[str], None] = lambda line: None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal ends it; `told` gets one JSON line with the address as soon as it answers."""
    install_logs()
    raise_limit()
    listening = listen(settings)
    host, port = listening.getsockname()[:2]
    url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    service = None if settings.standby else Service(settings)  # what is wrong with the settings is told as any error
    try:
        app, page = create_app(settings, service, page=True), f"its page is {url}/ui/"
    except MissingExtra as error:
        app, page = create_app(settings, service), f"there is no page: {error}"

    def ready() -> None:
        gc.collect()
        gc.freeze()  # what is loaded stays: a full collection, which stops every thread for 0.1 s, passes over it
        say(f"dnaml serves {settings.state} at {url}; {page}; Ctrl-C ends it, jobs go on with the next start")
        if told is not None:
            told(json.dumps({"url": url, "state": str(settings.state)}))

    try:
        serve(app, settings, listening, tls=tls, ready=ready)
    finally:
        if service is not None:
            service.close()
    if app.state.failure is not None:
        raise app.state.failure
    say("ended; what had not finished goes on with the next start")
