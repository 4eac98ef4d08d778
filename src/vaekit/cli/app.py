"""The command-line program: its verbs, each with an example."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from vaekit.cli.explore_verb import explore
from vaekit.cli.options import ImportOption
from vaekit.cli.row_verbs import encode, export, impute, reconstruct, sample, score
from vaekit.cli.run_verbs import audit, compare, describe, evaluate, recipes, remedy, report, train
from vaekit.cli.share_verbs import push, share
from vaekit.errors import Interrupted

VERBS: dict[Callable[..., None], str] = {
    train: "vaekit train digits --recipe digits --out runs/digits",
    evaluate: "vaekit evaluate runs/digits --samples 1000",
    audit: "vaekit audit runs/digits --samples 8",
    remedy: "vaekit remedy runs/digits --out runs/better",
    encode: "vaekit encode runs/digits digits --out codes.npy",
    reconstruct: "vaekit reconstruct runs/digits digits --out sheet.png",
    score: "vaekit score runs/people people.csv --out scores.csv --explain",
    impute: "vaekit impute runs/people people.csv --out filled.csv",
    sample: "vaekit sample runs/people --given work=farm -n 50 --out new.csv",
    export: "vaekit export runs/digits --part score --samples 10 --out score.onnx",
    compare: "vaekit compare runs/digits runs/better",
    report: "vaekit report runs/digits --beside runs/better",
    explore: "vaekit explore runs/digits",
    describe: "vaekit describe people.csv",
    share: "vaekit share runs/people --out shared/people --least-count 20",
    push: "vaekit push runs/people ada/people --license apache-2.0",
    recipes: "vaekit recipes --keys",
}
"""Each verb with the example at the end of its help."""


class Stopped(Exception):  # noqa: N818 - it is not an error
    """The exception raised when a signal stops a verb of the command line.

    Args:
        reason: the interruption, with a message that says what to do.
    """

    def __init__(self, reason: Interrupted) -> None:
        super().__init__(str(reason))
        self.signal = reason.signal


class _Verbs(TyperGroup):
    """A typer group that turns `Interrupted` into `Stopped`, since typer would drop the message of `Interrupted`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Interrupted as reason:
            raise Stopped(reason) from reason


def _with_imports(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the option `--import`, to load modules with custom parts before the verb runs."""

    @functools.wraps(verb)
    def run(modules: list[str] | None = None, **arguments: Any) -> None:
        if modules:
            from vaekit.parts import import_own

            for module in modules:
                import_own(module)
        verb(**arguments)

    hints = get_type_hints(verb, include_extras=True) | {"modules": ImportOption}
    parameters = [p.replace(annotation=hints[p.name]) for p in inspect.signature(verb).parameters.values()]
    last = inspect.Parameter("modules", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=ImportOption)
    run.__annotations__ = hints
    run.__signature__ = inspect.Signature([*parameters, last])  # type: ignore[attr-defined]
    return run


app = typer.Typer(
    cls=_Verbs,
    help="Variational autoencoders with honest numbers: train, evaluate, sample, encode and score from data on disk.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from vaekit import __version__

        typer.echo(f"vaekit {__version__}", file=sys.stdout)  # the stream is named, else click sends UTF-8 to ASCII
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


for _verb, _example in VERBS.items():
    app.command(epilog=f"Example: {_example}")(_with_imports(_verb))
