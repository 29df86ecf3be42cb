"""`dnaml token`: who may use a service beyond this machine; a token is told once and kept as a digest."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnaml.cli import amounts
from dnaml.cli.screen import Screen, table
from dnaml.cli.verbs import family, verb

if TYPE_CHECKING:
    from dnaml.rest.auth import Tokens

app = family("Create, list and revoke the tokens of a service.")
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="The tokens (default: in the state folder).")
]


class TokenScope(Enum):
    """Is what a token allows; each includes those before it."""

    READ = "read"  # look and ask
    SUBMIT = "submit"  # run and cancel
    ADMIN = "admin"  # change the pool and the models


@verb(app, "create", example="dnaml token create ci --tenant team-a --scope submit --lasts 90d")
def create(
    screen: Screen,
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    tenant: Annotated[str, typer.Option(help="Whose jobs it sees and runs.")] = "default",
    scope: Annotated[TokenScope, typer.Option(help="What it allows.")] = TokenScope.SUBMIT,
    lasts: Annotated[str | None, typer.Option(metavar="DURATION", help="30m, 12h, 90d (default: for ever).")] = None,
    token_file: TokenFile = None,
) -> None:
    """Make a token and print it, once: only its digest is kept."""
    from dnaml.jobfile.sizes import parse_duration
    from dnaml.rest.auth import Scope

    lasts_s = None if lasts is None else parse_duration(lasts, what="--lasts")
    token = _tokens(screen, token_file).create(name, tenant=tenant, scope=Scope(scope.value), lasts_s=lasts_s)
    screen.note("keep it now, it is not shown again")
    screen.answer({"name": name, "tenant": tenant, "scope": scope.value, "token": token}, token)


@verb(app, "ls", example="dnaml token ls")
def ls(screen: Screen, token_file: TokenFile = None) -> None:
    """List the tokens; their secrets are not kept."""
    found = _tokens(screen, token_file).all()
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "tenant": one.tenant,
            "scope": one.scope.value,
            "created_at_s": one.created_at_s,
            "expires_at_s": one.expires_at_s,
        }
        for one in found
    ]
    shown = [
        (
            one.id,
            one.name,
            one.tenant,
            one.scope.value,
            amounts.moment(one.created_at_s),
            "never" if one.expires_at_s is None else amounts.moment(one.expires_at_s),
        )
        for one in found
    ]
    columns = ("id", "name", "tenant", "scope", "?created", "ends")
    screen.answer(rows, table("", columns, shown) if shown else "no tokens; dnaml token create makes one")


@verb(app, "revoke", example="dnaml token revoke 3f2a81c0")
def revoke(
    screen: Screen,
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A token's id, or its name.")],
    token_file: TokenFile = None,
) -> None:
    """End a token at once, also for a service that runs."""
    gone = _tokens(screen, token_file).revoke(wanted)
    screen.answer({"id": gone.id, "name": gone.name}, f"revoked {gone.id} ({gone.name} of {gone.tenant})")


def _tokens(screen: Screen, given: Path | None) -> "Tokens":
    from dnaml.rest.auth import Tokens
    from dnaml.rest.settings import TOKENS

    return Tokens(given if given is not None else screen.state / TOKENS)
