"""Replays one seed and prints its history: `python -m benchmarks.histories SEED [how many]`."""

import sys

from benchmarks.histories.checker import violations
from benchmarks.histories.world import World, world_of


def show(seed: int, *, whole: bool) -> int:
    """Print what a seed leads to; return how many violations there are."""
    world = world_of(seed)
    found = violations(world)
    if whole:
        _say(world.script)
        for number, event in enumerate(world.journal.replay(), 1):
            _say(f"{number:5d} {event}")
        _show_told(world)
    if whole or found:
        count, chain = world.journal.head
        _say(f"seed {seed}: {world.lives} engines, {count} events, chain {chain:08x}, {len(found)} violations")
        for line in found:
            _say(f"  {line}")
    return len(found)


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def _show_told(world: World) -> None:
    for told in world.told:
        _say(f"told by engine {told.life} {'at once' if told.live else 'from its journal'}: {told.end}")


def main(arguments: list[str]) -> int:
    """Run from the command line; exit code 1 where something does not hold."""
    first = int(arguments[0])
    many = int(arguments[1]) if len(arguments) > 1 else 1
    return int(sum(show(seed, whole=many == 1) for seed in range(first, first + many)) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
