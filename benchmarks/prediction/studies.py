"""The studies: each is one set of tasks, answered by dnaml under several seeds and by peers, history by history.

What the tasks of one history share is learnt once. Progress goes to stderr.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.prediction import clouds, clusters, devices, networks, search
from benchmarks.prediction.conformal import residual_interval
from benchmarks.prediction.peers import PEERS, QUICK, Peer, Scaling
from benchmarks.prediction.peers.collaborative import Neighbours
from benchmarks.prediction.peers.history import side_of
from benchmarks.prediction.peers.reference import FromReference
from benchmarks.prediction.scores import CHOSEN, Score, scored
from benchmarks.prediction.search import Regrets
from benchmarks.prediction.tasks import Task, data_folder, unseen
from dnaml import RuntimePredictor

DNAML = "dnaml"
_CHOSEN_COUNTS = (1, 3, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A set of tasks under the id of its rows; `few` says how many histories and targets of each a quick run takes."""

    id: str
    tasks: Callable[[Path], Iterator[Task]]
    few: tuple[int, int] = (1, 2)
    peers: tuple[type[Peer], ...] = PEERS
    chooses: bool = False  # dnaml also chooses its own probes
    searches: bool = False  # the cheapest is searched for, too


@dataclass(slots=True, kw_only=True, eq=False)
class Result:
    """What a study found, on `few` targets or all; `trouble` says what could not run: all, or what dnaml chose."""

    scores: list[Score] = field(default_factory=list)
    regrets: list[Regrets] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    few: bool = False

    def spend(self, who: str, since_s: float) -> None:
        """Add the CPU time since a moment to what someone used."""
        self.cpu_s[who] = self.cpu_s.get(who, 0.0) + time.process_time() - since_s


STUDIES: tuple[Study, ...] = (
    Study(id="P1", tasks=partial(networks.cell_tasks, counts=(10,))),
    Study(id="P2", tasks=partial(networks.chain_tasks, counts=(20,))),
    Study(id="P3", tasks=partial(devices.edge_tasks, draws=range(5)), chooses=True),
    Study(id="P4", tasks=partial(devices.half_known_tasks, together=True)),
    Study(id="P5", tasks=clouds.cloud_tasks, few=(1, 3)),
    Study(id="P6", tasks=clouds.application_tasks, few=(1, 3)),
    Study(
        id="P7.with",
        tasks=partial(clouds.one_run_tasks, telemetry=True),
        few=(1, 4),
        peers=(FromReference, Scaling, Neighbours),
    ),
    Study(
        id="P7.without",
        tasks=partial(clouds.one_run_tasks, telemetry=False),
        few=(1, 4),
        peers=(FromReference, Scaling, Neighbours),
    ),
    Study(id="P9", tasks=partial(clusters.application_tasks, counts=(6,)), few=(2, 1), searches=True),
    Study(id="P10", tasks=clusters.context_tasks, few=(3, 2)),
    Study(id="P11", tasks=partial(devices.accelerator_tasks, counts=(20,))),
    Study(id="P12", tasks=partial(devices.training_tasks, counts=(3,)), few=(2, 2)),
)


def run(study: Study, *, seeds: Sequence[int], quick: bool, few_peers: bool = False) -> Result:
    """Answer every task of a study; `few_peers` leaves out the peers that take long to learn, as `quick` does."""
    result = Result(few=quick)
    tasks = study.tasks(data_folder())
    groups: Iterable[list[Task]] = (list(group) for _, group in itertools.groupby(tasks, key=lambda task: task.key))
    if quick:
        groups = itertools.islice((_first_targets(group, study.few[1]) for group in groups), study.few[0])
    for number, group in enumerate(groups, start=1):
        begin_s = time.process_time()
        for seed in seeds:
            _ask_dnaml(study, group, seed, result)
        _ask_peers(study, group, result, few=quick or few_peers)
        used_s = time.process_time() - begin_s
        print(f"{study.id}: history {number}, {len(group)} tasks, {used_s:.0f} s", file=sys.stderr, flush=True)
    return result


def _first_targets(group: list[Task], most: int) -> list[Task]:
    kept = list(dict.fromkeys(task.target for task in group))[:most]
    first = min(task.draw for task in group)
    return [task for task in group if task.target in kept and task.draw == first]


def _ask_dnaml(study: Study, group: list[Task], seed: int, result: Result) -> None:
    """Fit one seed's model on the history and ask it every task; a failure is told, and its row has no value."""
    by, begin_s = f"{DNAML} {seed}", time.process_time()
    try:
        model = RuntimePredictor(seed=seed).fit(group[0].train)
        result.scores += [_answer(by, model.update(task.probes), task) for task in group]
    except Exception as error:  # noqa: BLE001  # the edge: what is measured may fail, the other rows are still asked
        result.trouble.setdefault("", f"seed {seed}, {group[0].target}: {type(error).__name__}: {error}")
        return
    finally:
        result.spend(DNAML, begin_s)
    begin_s = time.process_time()
    try:
        if study.chooses:
            result.scores += [score for task in _one_a_target(group) for score in _with_chosen_probes(by, model, task)]
        if study.searches:
            for task in _one_a_target(group):
                result.regrets += search.searches(by, task, search.by_model(model))
    except Exception as error:  # noqa: BLE001  # the edge, as above
        result.trouble.setdefault(CHOSEN, f"seed {seed}, {group[0].target}: {type(error).__name__}: {error}")
    finally:
        result.spend("choosing", begin_s)


def _one_a_target(group: list[Task]) -> list[Task]:
    return list({task.target: task for task in reversed(group)}.values())[::-1]


def _answer(by: str, model: RuntimePredictor, task: Task) -> Score:
    told = model.predict(task.pairs)
    low, high = (told[name].to_numpy(dtype=np.float64) for name in ("runtime_s_p10", "runtime_s_p90"))
    return scored(by, task, told["runtime_s"].to_numpy(dtype=np.float64), (low, high))


def _with_chosen_probes(by: str, model: RuntimePredictor, task: Task) -> Iterator[Score]:
    """Yield the scores on a target whose probes the model chose one after the other, from nothing known of it."""
    rows = pd.concat([task.probes, task.query], ignore_index=True)
    chosen: list[int] = []
    warm = model
    for count in range(1, max(_CHOSEN_COUNTS) + 1):
        chosen.append(search.next_probe(warm, unseen(rows.drop(index=chosen)), goal="learn"))
        warm = model.update(rows.loc[chosen])
        if count in _CHOSEN_COUNTS:
            query = rows.drop(index=chosen).reset_index(drop=True)
            told = warm.predict(unseen(query))
            asked = Task(
                protocol=task.protocol,
                probe_count=count,
                target=task.target,
                draw=0,
                train=task.train,
                probes=rows.loc[chosen],
                query=query,
                key=task.key,
            )
            yield scored(by, asked, told["runtime_s"].to_numpy(dtype=np.float64), probing=CHOSEN)


def _ask_peers(study: Study, group: list[Task], result: Result, *, few: bool) -> None:
    """Ask every peer every task; those that learn fast get intervals too."""
    side = side_of(group[0].probes, group[0].pairs)
    among = [peer for peer in study.peers if peer in QUICK or peer not in PEERS or not few]
    for kind in among:
        begin_s = time.process_time()
        learnt = kind(group[0].train, side)
        intervals: dict[int, tuple[float, float]] = {}
        for task in group:
            answer = learnt.predict(task.probes, task.pairs)
            if answer is None:
                continue
            count = len(task.probes)
            if kind in QUICK and count not in intervals:
                intervals[count] = residual_interval(kind, task.train, side, count)
            low, high = np.exp(intervals.get(count, (np.nan, np.nan)))
            result.scores.append(scored(kind.name, task, answer, (answer * low, answer * high)))
        if study.searches and kind in QUICK:
            for task in _one_a_target(group):
                result.regrets += search.searches(kind.name, task, search.by_peer(learnt))
        result.spend(kind.name, begin_s)
    if study.searches:
        alone = {"chance": search.by_chance, "GP search": search.by_gaussian_process}
        for name, choose in {**alone, "extra-trees search": search.by_extra_trees}.items():
            result.regrets += [r for task in _one_a_target(group) for r in search.searches(name, task, choose)]
