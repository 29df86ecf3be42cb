"""What may be bought and when: the machines that can be had, the caps, and how far and how often to look ahead.

In TOML the settings stand at the top and each kind of machine in a table `[machines.NAME]` with a resource's fields.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.execution.autoscaling import LABEL
from dnaml.execution.providers.carrier import CarrierSettings
from dnaml.execution.providers.provider import Provider
from dnaml.schedule.scaling import Template

USUAL_LEAD_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Says which machines may be acquired, how many, for how much money, and how decisions are made.

    `machines` are what they are like: the id names the template, `startup_s` is the first guess of how long one takes
    to come, `slots` how much work it does at once. `providers` sell them; None: processes of this machine. Demand is
    counted in bins of `bin_s` and decisions are made every `every_s`. `most_usd` caps all that is ever spent from
    this state folder, `most_usd_per_h` what is paid at a time. `short_usd_per_h` is what an hour without a machine
    that was needed costs. With `dry_run` nothing is bought, only said. Machines go back when the engine ends, unless
    it `keeps_machines` for the next one. A kernel of which no run ended yet is taken to work for `guess_s`. A machine
    is planned to be busy for `use_share` of its time at most: at 1, work that comes unevenly waits for its turn.
    """

    machines: tuple[Resource, ...]
    providers: tuple[Provider, ...] | None = None
    bin_s: float = 60.0
    every_s: float = 5.0
    least_machines: int = 0
    most_machines: int = 4
    most_usd: float = math.inf
    most_usd_per_h: float = math.inf
    short_usd_per_h: float | None = None
    quantum_s: float = 0.0
    release_after_bins: int = 3
    wait_target_s: float = 60.0
    budget_share: float = 0.98
    guess_s: float = 1.0
    use_share: float = 1.0
    probes: bool = True
    trained: bool = True
    dry_run: bool = False
    keeps_machines: bool = False
    carrying: CarrierSettings = CarrierSettings()

    def __post_init__(self) -> None:
        """Raise InputError for a plan that cannot be kept."""
        if not self.machines:
            raise InputError("scaling: there is no machine to acquire; name one at least")
        names = [one.id for one in self.machines]
        if len(set(names)) < len(names):
            raise InputError(f"scaling: machines must have different names, got {names}")
        for name in ("bin_s", "every_s", "guess_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"scaling: {name} must be positive and finite, got {value}")
        if not 0 < self.use_share <= 1:
            raise InputError(f"scaling: use_share must be in (0, 1], got {self.use_share}")
        for name in ("most_usd", "most_usd_per_h", "quantum_s", "wait_target_s"):
            if not getattr(self, name) >= 0:
                raise InputError(f"scaling: {name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.least_machines <= self.most_machines or self.most_machines < 1:
            least, most = self.least_machines, self.most_machines
            raise InputError(f"scaling: machines must be 0 <= least <= most, and most 1 at least, got {least}, {most}")

    @property
    def templates(self) -> tuple[Template, ...]:
        """Return the machines as a scaler weighs them."""
        return tuple(
            Template(
                name=one.id,
                price_usd_per_h=one.price_usd_per_h or 0.0,
                rate=one.slots * self.use_share,
                lead_s=USUAL_LEAD_S if one.startup_s is None else one.startup_s,
                quantum_s=self.quantum_s,
            )
            for one in self.machines
        )

    def labelled(self) -> dict[str, Resource]:
        """Return the machines by name, each labelled with the template it is."""
        return {one.id: replace(one, labels={**one.labels, LABEL: one.id}) for one in self.machines}


_TAKEN = {one.name for one in fields(Scaling)} - {"machines", "providers", "carrying"}
_CARRYING = {one.name for one in fields(CarrierSettings)}
_COUNTS = ("least_machines", "most_machines", "release_after_bins")
_FLAGS = ("probes", "trained", "dry_run", "keeps_machines")


def read_scaling(path: Path, *, dry_run: bool = False) -> Scaling:
    """Return the plan of a TOML file; InputError names the file, the key, the rule and the value."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be TOML: {error}") from error
    try:
        plan = scaling_from(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return replace(plan, dry_run=True) if dry_run else plan


def scaling_from(content: Mapping[str, Any]) -> Scaling:  # values of TOML, to be checked
    """Return the plan of a table; raises InputError as `read_scaling` does."""
    from dnaml.telemetry.declared import resource_from

    machines = content.get("machines", {})
    if not isinstance(machines, Mapping):
        raise InputError(f"machines must be tables [machines.NAME], got {machines!r}")
    found: dict[str, Any] = {}
    carrying: dict[str, Any] = {}
    for key, value in content.items():
        if key == "machines":
            continue
        if key not in _TAKEN | _CARRYING:
            raise InputError(f"unknown key {key!r}; settings are {', '.join(sorted(_TAKEN | _CARRYING))}")
        (carrying if key in _CARRYING else found)[key] = _checked(key, value)
    return Scaling(
        machines=tuple(resource_from(name, table) for name, table in machines.items()),
        carrying=CarrierSettings(**carrying),
        **found,
    )


def _checked(key: str, value: object) -> object:
    if key in _FLAGS:
        if not isinstance(value, bool):
            raise InputError(f"{key} must be true or false, got {value!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{key} must be a number, got {value!r}")
    if key in (*_COUNTS, "tries", "at_once"):
        if not isinstance(value, int):
            raise InputError(f"{key} must be a whole number, got {value!r}")
        return value
    return float(value)
