"""What a service is told at its start: where it listens, what may run, who may ask, how much of everything."""

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.datasets.database import Durability
from dnaml.datasets.state import default_folder
from dnaml.durable.settings import StorageSettings
from dnaml.engine import EngineSettings
from dnaml.scaling import Scaling

DEFAULT_PORT = 8750
TOKENS = "tokens.json"  # in the state folder
_MOST_HOST = 255  # characters of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request, one tenant and all of them together may take; what is more is refused at once."""

    body_bytes: int = 8 << 20
    body_depth: int = 64
    body_s: float = 20.0  # for a whole body to arrive
    header_s: float = 10.0  # for the head of a request to arrive
    idle_s: float = 15.0  # between two requests of a connection
    connections: int = 2_000
    requests_in_work: int = 128
    waited_s: float = 0.5  # a request that the service comes to later than that is refused
    requests_per_s: float = 2_000.0  # of one tenant, on average
    burst: int = 2_000
    open_jobs: int = 200_000  # of one tenant
    batch: int = 1_000  # items of a request that carries several
    streams: int = 256
    page: int = 500
    heartbeat_s: float = 15.0  # between two signs of life of an event stream

    def __post_init__(self) -> None:
        """Raise InputError on a limit that would let nothing through."""
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise InputError(f"limits: {name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Everything `create_app` needs; the defaults are an embedded service on this machine's loopback.

    `allow` names the functions that clients may run, `module:function`, or `module` for all that it defines.
    `root` is the folder below which every path of a client stays. `token_required` None means: unless on loopback.
    `engine` is local or ray; `standby` waits for a folder that another engine holds, and takes over when that ends.
    `scaling` says which machines are acquired before they are needed.
    """

    state: Path = field(default_factory=default_folder)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    resources: tuple[Resource, ...] | None = None
    objective: str | dict[str, float] = "balanced"
    allow: tuple[str, ...] = ()
    allow_argv: bool = False
    root: Path = field(default_factory=Path.cwd)
    token_file: Path | None = None
    token_required: bool | None = None
    hosts: tuple[str, ...] = ()  # further names under which clients may reach it
    cores: int | None = None
    engine: str = "local"
    ray_address: str = "auto"
    journal_url: str | None = None
    standby: bool = False
    scaling: Scaling | Path | None = None
    seed: int = 0
    limits: Limits = Limits()

    @property
    def on_loopback(self) -> bool:
        """Say whether only this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def needs_token(self) -> bool:
        """Say whether every request but those for health must carry a token."""
        return not self.on_loopback if self.token_required is None else self.token_required

    def of_engine(self) -> EngineSettings:
        """Return the settings of the engine behind the service: what was committed survives power loss."""
        storage = StorageSettings(durability=Durability.POWER, journal_url=self.journal_url, standby=self.standby)
        return EngineSettings(storage=storage, seed=self.seed).on(self.engine, self.ray_address)

    @property
    def tokens(self) -> Path:
        """Return the file of tokens."""
        return self.token_file if self.token_file is not None else self.state / TOKENS


def is_loopback(host: str) -> bool:
    """Say whether a host name or address can only be reached from this machine."""
    return len(host) <= _MOST_HOST and _is_loopback(host)


@lru_cache(256)  # asked three times a request; to read an address costs more than all else at the gate
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.casefold() == "localhost"
