"""`dnaml serve`: the REST service on an embedded engine; loopback needs nothing, anything beyond needs a token."""

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli.screen import Screen
from dnaml.cli.verbs import alone, verb
from dnaml.core.errors import InputError

if TYPE_CHECKING:
    from dnaml.scaling import Scaling

app = alone()


class EngineKind(Enum):
    """Is where work runs."""

    LOCAL = "local"  # worker processes of this machine
    RAY = "ray"  # the nodes of a Ray cluster


ResourcesFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Resources in TOML (default: those of the state folder).")
]
RayAddress = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="The cluster of --engine ray; auto, local or an address.")
]
Journal = Annotated[
    str | None, typer.Option(metavar="URL", help="A database of PostgreSQL for the journal (or $DNAML_JOURNAL).")
]
Standby = Annotated[
    bool, typer.Option("--standby", help="Wait while another engine holds the state folder, then take over.")
]
Allow = Annotated[
    list[str] | None, typer.Option(metavar="MODULE[:FUNCTION]", help="What clients may run; may be given again.")
]
Root = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Paths of clients stay below it (default: here).")]
TokenFile = Annotated[Path | None, typer.Option(metavar="FILE", help="The tokens (default: in the state folder).")]
PublicName = Annotated[
    list[str] | None, typer.Option("--name", metavar="HOST", help="A further name that clients use.")
]
ScaleFile = Annotated[
    Path | None, typer.Option("--scale", metavar="FILE", help="Acquire machines before they are needed; a TOML plan.")
]
DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="With --scale: say what it would acquire and why, and buy nothing.")
]


@verb(
    app,
    example="dnaml serve --allow mypackage.train   or   dnaml serve --host 0.0.0.0 --tls-cert c.pem --tls-key k.pem",
)
def serve(
    screen: Screen,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8750,
    objective: Annotated[str, typer.Option(help="min_cost, min_latency or balanced.")] = "balanced",
    resources: ResourcesFile = None,
    cores: Annotated[int | None, typer.Option(min=1, help="So many attempts at once on this machine.")] = None,
    engine: Annotated[EngineKind, typer.Option(help="Where work runs.")] = EngineKind.LOCAL,
    ray_address: RayAddress = "auto",
    journal: Journal = None,
    standby: Standby = False,
    scale: ScaleFile = None,
    dry_run: DryRunFlag = False,
    allow: Allow = None,
    allow_argv: Annotated[bool, typer.Option("--allow-argv", help="Clients may run any command.")] = False,
    autolog: Annotated[bool, typer.Option("--autolog", help="Track every run and decision in MLflow.")] = False,
    root: Root = None,
    token_file: TokenFile = None,
    require_token: Annotated[bool, typer.Option("--require-token", help="Ask for a token on loopback too.")] = False,
    public_name: PublicName = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, PEM.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen beyond loopback without TLS.")] = False,
) -> int:
    """Serve the REST API until SIGTERM; jobs survive its end and go on with the next start."""
    from dnaml.rest.settings import ServiceSettings
    from dnaml.telemetry.declared import read_resources

    if (tls_cert is None) != (tls_key is None):
        raise InputError("--tls-cert, --tls-key: both or none must be given")
    settings = ServiceSettings(
        state=screen.state,
        host=host,
        port=port,
        resources=tuple(read_resources(resources)) if resources is not None else None,
        objective=objective,
        allow=tuple(allow or ()),
        allow_argv=allow_argv,
        root=(root or Path.cwd()).absolute(),
        token_file=token_file,
        token_required=True if require_token else None,
        hosts=tuple(name.casefold() for name in public_name or ()),
        cores=cores,
        engine=engine.value,
        ray_address=ray_address,
        journal_url=journal,
        standby=standby,
        scaling=_scaling(scale, dry_run=dry_run),
    )
    tls = (str(tls_cert), str(tls_key)) if tls_cert is not None else None
    _check_exposure(settings.on_loopback, settings.needs_token, settings.tokens, tls=tls is not None, insecure=insecure)
    _enter(settings.root)
    if autolog:
        from dnaml.logbook import autolog as track

        track()
    from dnaml.rest.run import run_service

    run_service(settings, tls=tls, say=screen.note, told=screen.line if screen.as_json else None)
    return 0


def _enter(root: Path) -> None:
    """Go to the folder below which clients' paths stay, and from which their functions are imported."""
    if not root.is_dir():
        raise InputError(f"--root: no such folder {root}")
    os.chdir(root)
    sys.path.insert(0, str(root))


def _scaling(path: Path | None, *, dry_run: bool) -> "Scaling | None":
    from dnaml.scaling import read_scaling

    if path is None and dry_run:
        raise InputError("--dry-run: says what scaling would do, and needs --scale")
    return None if path is None else read_scaling(path, dry_run=dry_run)


def _check_exposure(on_loopback: bool, needs_token: bool, tokens: Path, *, tls: bool, insecure: bool) -> None:
    """Raise InputError for a service that strangers could use or listen to."""
    from dnaml.rest.auth import Tokens

    if needs_token and not Tokens(tokens).all():
        raise InputError(f"--host: tokens are required and {tokens} holds none; dnaml token create makes one")
    if not on_loopback and not tls and not insecure:
        raise InputError("--host: beyond loopback tokens would travel in clear; give --tls-cert, or --insecure")
