"""Engines: what makes the parts of a job, in this process or in many.

An engine knows nothing of rows and runs. It calls a maker for each part, and may call it again if a worker was lost.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from vaekit.errors import VaekitError, at_least_one
from vaekit.jobs.making import Fault, Made, PartMaker
from vaekit.jobs.parts import Part


class Engine(ABC):
    """Makes the parts of a job."""

    name: ClassVar[str]
    """The name of the engine."""

    @abstractmethod
    def run(self, maker: PartMaker, parts: Sequence[Part]) -> Iterator[Made | Fault]:
        """Make parts, in any order, and yield the record of each when it is finished."""


class Local(Engine):
    """Makes one part after the other in this process."""

    name = "local"

    def run(self, maker: PartMaker, parts: Sequence[Part]) -> Iterator[Made | Fault]:
        """Make the parts in their order."""
        return map(maker, parts)


class Ray(Engine):
    """Makes parts with the workers of Ray Data, on the cluster that `RAY_ADDRESS` names, or on this computer.

    Each worker has one thread. A worker that is killed is started again, and makes its part anew.

    Args:
        workers: number of workers, ≥ 1; by default as many as the cluster has processors.

    Raises:
        VaekitError: if the package ray is not installed, or `workers` is below 1.

    References:
        Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", 2018.
    """

    name = "ray"

    def __init__(self, workers: int | None = None) -> None:
        try:
            import ray
            import ray.data
        except ImportError as error:
            told = "The engine ray needs the package ray"
            raise VaekitError(told, mend="Run: pip install 'vaekit[ray]'") from error
        self.ray: Any = ray
        self.workers = None if workers is None else at_least_one(workers, "workers")

    def run(self, maker: PartMaker, parts: Sequence[Part]) -> Iterator[Made | Fault]:
        """Make the parts in any order."""
        ray, own = self.ray, not self.ray.is_initialized()
        if own:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
            logging.getLogger("ray.data").setLevel(logging.ERROR)
        try:
            ray.data.DataContext.get_current().enable_progress_bars = False
            workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            made = ray.data.range(len(parts), override_num_blocks=len(parts)).map(
                _Worker,
                fn_constructor_args=(maker, list(parts)),
                num_cpus=0.5,  # workers of a whole processor each would leave none for Ray's own tasks
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers, len(parts))),
            )
            for row in made.iter_rows():
                kind = Made if row["is_made"] else Fault
                yield kind(**json.loads(row["record"]))
        finally:
            if own:
                ray.shutdown()


class _Worker:
    """Holds the maker in a worker of Ray, so that the run is loaded once."""

    def __init__(self, maker: PartMaker, parts: Sequence[Part]) -> None:
        self.maker, self.parts = maker, parts

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        made = self.maker(self.parts[row["id"]])
        return {"record": json.dumps(asdict(made)), "is_made": isinstance(made, Made)}


ENGINES: dict[str, Callable[[], Engine]] = {engine.name: engine for engine in (Local, Ray)}
"""The engines by name."""
