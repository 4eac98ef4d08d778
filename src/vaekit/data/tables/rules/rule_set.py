"""A set of rules applied to rows: compute columns, check rows, and change the free cells of rows that break rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.columns import Column
from vaekit.data.tables.rules.base import Rule, Truth
from vaekit.data.tables.rules.combinations import Combinations, Fixed
from vaekit.data.tables.rules.conflicts import sort_computing, sort_ordered
from vaekit.data.tables.rules.draft import Draft
from vaekit.data.tables.rules.linear import Linear
from vaekit.data.tables.rules.mending import choose_combination, move_in_order
from vaekit.data.tables.rules.order import Order
from vaekit.data.tables.rules.scales import make_scales

Array = npt.NDArray[np.float64]
Drawer = Callable[[npt.NDArray[np.int64], int, Array], Array]
"""A function that draws the rows with given numbers for the k-th time, and returns their codes. The third argument has the
cells that stay, NaN elsewhere."""
Blank = Callable[[Array, npt.NDArray[np.int64], int], Array]
"""A function that empties cells of codes (n, C) of the rows with given numbers, drawn for the k-th time."""
ATTEMPTS, FRESH, PATIENCE = 80, 40, 8
"""How often a row is drawn before a row that obeys the rules is constructed; after how many draws it is drawn from its first
cell on; and after how many it goes back further (0, 1, 3, 7, 15 steps)."""
CONSTRUCTED = 30
"""From how many draws a row that obeys is constructed at most."""


def keep(codes: Array, *_: object) -> Array:
    """Return codes as they are: a `Blank` for complete rows."""
    return codes


def round_of(attempt: int) -> int:
    """Return the round of an attempt; z and the pattern of missing cells of a row are those of the round."""
    return attempt // FRESH if attempt < ATTEMPTS else attempt


class RuleSet:
    """Applies rules to coded rows.

    Args:
        columns: the modelled columns.
        rules: the rules, fitted to training rows.
        order: positions of the columns in the order in which their cells are drawn; by default as they are.
    """

    def __init__(self, columns: Sequence[Column], rules: Sequence[Rule], order: Sequence[int] = ()) -> None:
        self.columns, self.rules, self.order = tuple(columns), tuple(rules), tuple(order or range(len(columns)))
        places = {column.name: i for i, column in enumerate(columns)}
        named = dict.fromkeys(name for rule in rules for name in rule.columns)
        self.places = {name: places[name] for name in named}
        self.scales = make_scales([columns[place] for place in self.places.values()])
        self.computing = sort_computing(rules)
        self.targets = {rule.target for rule in rules if rule.target is not None}
        self.orders = [rule for rule in rules if isinstance(rule, Order)]
        self.ordered = sort_ordered(self.orders)
        tables = [rule for rule in reversed(self.computing) if isinstance(rule, Combinations)]
        self.tables = [*(rule for rule in rules if isinstance(rule, Fixed)), *tables]

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """Return at which step the cell of each column is drawn, shape (C,)."""
        return np.argsort(self.order)

    def ends(self, given: Truth) -> npt.NDArray[np.int64]:
        """Return the step of drawing at which the last free cell of each rule is known, shape (rules, n).

        Args:
            given: which cells are given, shape (n, C). Rows with a given cell that is computed in others have 0
                everywhere, since then any of its sources may follow from the others.
        """
        known = {name: np.where(given[:, place], -1, self.steps[place]) for name, place in self.places.items()}
        for rule in self.computing:
            known[str(rule.target)] = np.max([known[name] for name in rule.sources], axis=0)
        ends = np.array([np.max([known[name] for name in rule.columns], axis=0) for rule in self.rules])
        solved = given[:, [self.places[name] for name in self.targets]].any(1)
        return np.where(solved, 0, ends)

    def _until(self, broken: Truth, given: Truth, back: int) -> Truth:
        """Return which cells stay when rows are drawn again, shape (n, C).

        Args:
            broken: the rules that rows break, shape (rules, n).
            given: which cells are given, shape (n, C).
            back: how many steps to go back from the cell that broke the first of them.
        """
        step = np.where(broken, self.ends(given), len(self.columns)).min(0) - back
        return given | (self.steps < step[:, None])

    def draft(self, codes: Array, given: Truth) -> Draft:
        """Start to change rows: codes (n, C), of which the given cells stay."""
        return Draft(codes, given, self.scales, self.places)

    def obeyed(self, draft: Draft) -> Truth:
        """Return which rules each row obeys, shape (rules, n)."""
        return np.array([rule.holds(draft.values) for rule in self.rules], bool).reshape(len(self.rules), len(draft))

    def broken_by(self, codes: Array) -> Truth:
        """Return which rules are broken by the known cells of rows alone, whatever the others are, shape (rules, n).

        Args:
            codes: shape (n, C), NaN where a cell is free.
        """
        return ~self.obeyed(self.draft(codes, ~np.isnan(codes)))

    def compute(self, draft: Draft, within: bool = False) -> None:
        """Compute columns from others; where the computed cell is fixed, solve for the last free source.

        Args:
            draft: the rows.
            within: whether a source that would leave the range of its column goes to the end of the range, so that the
                other sources make up the rest.
        """
        self._fix_what_follows(draft)
        fixed = draft.fixed
        draft.fixed = {name: cells.copy() for name, cells in fixed.items()}
        for _ in self.computing:
            for rule in self.computing:
                target = str(rule.target)
                draft.put(target, rule.solve(draft.values, target), np.ones(len(draft), bool))
                if isinstance(rule, Linear) and self.scales[target].sort != "text":
                    self._make_up(draft, rule)
            for rule in reversed(self.computing):
                for name in reversed(rule.sources):
                    wrong = ~rule.holds(draft.values) & draft.fixed[str(rule.target)]
                    if wrong.any():
                        scale, values = self.scales[name], rule.solve(draft.values, name)
                        values = np.clip(values, scale.low, scale.high) if within else values
                        draft.fixed[name] |= draft.put(name, values, wrong)
            if all(rule.holds(draft.values).all() for rule in self.computing):
                break
        draft.solved, draft.fixed = draft.fixed, fixed

    def _make_up(self, draft: Draft, rule: Linear) -> None:
        """Where a total cannot be the exact sum, take the nearest or the next one, and let a term make up the difference."""
        off = ~rule.holds(draft.values) & draft.free(rule.total)
        if not off.any():
            return
        scale, wanted = self.scales[rule.total], rule.solve(draft.values, rule.total)
        low, high = scale.at_most(wanted, strict=False), scale.at_least(wanted, strict=False)
        off &= np.isfinite(low) & np.isfinite(high)
        near, next_one = np.where(wanted - low <= high - wanted, (low, high), (high, low))
        for total in (near, next_one):
            tried = draft.put(rule.total, total, off & ~rule.holds(draft.values))
            for name in reversed([name for name in rule.sources if name not in self.targets]):
                values = rule.solve(draft.values, name)
                draft.fixed[name] |= draft.put(name, values, tried & ~rule.holds(draft.values))
        left = draft.put(rule.total, near, off & ~rule.holds(draft.values))
        draft.fixed[rule.total] |= left  # terms that are computed themselves may make it up

    def _fix_what_follows(self, draft: Draft) -> None:
        """Compute cells that follow from fixed cells alone, and fix them, too."""
        for _ in self.computing:
            for rule in self.computing:
                for name in rule.columns:
                    others = [draft.fixed[other] for other in rule.columns if other != name]
                    follows = np.logical_and.reduce(others) & draft.free(name)
                    if follows.any():
                        draft.fixed[name] |= draft.put(name, rule.solve(draft.values, name), follows)

    def mend(self, draft: Draft, uniform: Array | None = None) -> None:
        """Change free cells of the rows that break rules.

        First columns that are not computed; where that is not enough, computed columns with their sources.

        Args:
            draft: the rows, with their columns computed.
            uniform: numbers in (0, 1), shape (n, rules), that choose differences and combinations; None chooses the
                nearest numbers and the most frequent combinations.
        """
        fixed, none = draft.fixed, frozenset[str]()
        draft.fixed = draft.solved  # at first, cells that were solved for stay
        for computed in (self.targets, self.targets, none, none):
            if self.obeyed(draft).all():
                break
            for change in self._changes(computed, uniform):
                before = dict(draft.values)
                change(draft)
                if not computed:  # what was moved stays, and its sources follow
                    draft.fixed = {name: draft.fixed[name] | (draft.values[name] != before[name]) for name in fixed}
            if computed:
                draft.fixed = fixed
            self.compute(draft, within=True)
        draft.fixed = fixed

    def _changes(self, computed: Collection[str], uniform: Array | None) -> Iterator[Callable[[Draft], None]]:
        """Yield the steps of `mend`: a combination for each rule that has a list of them, then the numbers in order."""

        def noise(rule: Rule) -> Array | None:
            return None if uniform is None else uniform[:, self.rules.index(rule)]

        for rule in self.tables:
            yield partial(choose_combination, rule=rule, computed=computed, uniform=noise(rule))
        own = [noise(rule) for rule in self.orders]
        yield partial(move_in_order, orders=self.orders, names=self.ordered, computed=computed, uniform=own)

    def settle(self, codes: Array, given: Array | None = None) -> tuple[Array, Truth]:
        """Make typical rows obey: columns are computed, numbers moved to the nearest ones in order.

        Args:
            codes: codes of rows, shape (n, C).
            given: codes of the same rows before cells were filled, NaN where one was; by default all cells are free.

        Returns:
            Codes, and which rules rows still break, because of their given cells, shape (rules, n).
        """
        return self._finish(codes, np.full(codes.shape, np.nan) if given is None else given, None)

    def _finish(self, codes: Array, given: Array, uniform: Array | None) -> tuple[Array, Truth]:
        """Mend rows; where given cells leave no way to obey some rules, mend them by the other rules alone."""
        draft = self._mended(codes, given, uniform)
        codes_mended, broken = draft.codes, ~self.obeyed(draft)
        if uniform is not None:  # what was drawn may be too far, but the nearest values fit
            rows = np.flatnonzero(broken.any(0))
            draft = self._mended(codes[rows], given[rows], None)
            codes_mended[rows], broken[:, rows] = draft.codes, ~self.obeyed(draft)
        for pattern in np.unique(broken, axis=1).T:
            if pattern.any():
                rows = np.flatnonzero((broken == pattern[:, None]).all(0))
                others = RuleSet(self.columns, [rule for rule, own in zip(self.rules, pattern, strict=True) if not own])
                noise = None if uniform is None else uniform[rows][:, ~pattern]
                start = self._keep_computed(codes[rows], codes_mended[rows], given[rows], pattern)
                codes_mended[rows], left = others._finish(start, given[rows], noise)
                broken[np.ix_(~pattern, rows)] = left
        return codes_mended, broken

    def _keep_computed(self, codes: Array, mended: Array, given: Array, broken: Truth) -> Array:
        """Return the codes, with the nearest value where a column was computed from given cells and still breaks its rule."""
        codes = codes.copy()
        for rule in (rule for rule, own in zip(self.rules, broken, strict=True) if own and rule.target is not None):
            follows = ~np.isnan(given[:, [self.places[name] for name in rule.sources]]).any(1)
            place = self.places[str(rule.target)]
            codes[:, place] = np.where(follows, mended[:, place], codes[:, place])
        return codes

    def _mended(self, codes: Array, given: Array, uniform: Array | None) -> Draft:
        draft = self.draft(codes, ~np.isnan(given))
        self.compute(draft)
        self.mend(draft, uniform)
        return draft

    def draw(
        self,
        draw: Drawer,
        given: Array,
        uniform: Callable[[npt.NDArray[np.int64]], Array],
        blank: Blank = keep,
        attempts: int = ATTEMPTS,
    ) -> tuple[Array, Truth]:
        """Draw rows until they obey, with computed columns computed.

            p(x|z) = Π_j p(x_j | z, cells before j, the rules whose last cell is j hold)

        A row that breaks a rule is drawn again from the rule's last cell on, so a rule does not change the distribution of
        the cells before. That is so for rows that obey within 8 such draws. Others go back further, and after 40 draws to
        their first cell. After 80, the last draw is changed (`mend`), and another draw where that does not suffice. A row
        obeys a rule if it lacks one of its cells.

        Args:
            draw: draws rows.
            given: codes of the cells that stay, NaN elsewhere, shape (n, C).
            uniform: returns numbers in (0, 1) for rows with given numbers, shape (rows, rules).
            blank: empties cells of drawn rows with computed columns; none by default.
            attempts: how often a row is drawn before one is constructed.

        Returns:
            Codes, and which rules rows still break, because of their given cells, shape (rules, n).
        """
        codes, broken, fixed = np.empty(given.shape), self.broken_by(given), ~np.isnan(given)
        rows, start = np.arange(len(given)), given
        for attempt in range(attempts):
            drawn = draw(rows, attempt, start)
            draft = self.draft(drawn, fixed[rows])
            self.compute(draft)
            codes[rows] = blank(draft.codes, rows, attempt)
            draft.hide(np.isnan(codes[rows]))
            breaks = ~(self.obeyed(draft) | broken[:, rows])
            again = breaks.any(0)
            rows, last = rows[again], draft.codes[again]
            if not len(rows):
                return codes, broken
            back = 2 ** (attempt % FRESH // PATIENCE) - 1 if (attempt + 1) % FRESH else len(self.columns)
            start = np.where(self._until(breaks[:, again], fixed[rows], back), drawn[again], given[rows])
        hopeless = np.array(broken.any(0))
        for attempt in range(attempts, attempts + CONSTRUCTED):
            if attempt > attempts:
                last = draw(rows, attempt, given[rows])
            made, left = self._finish(last, given[rows], uniform(rows))
            codes[rows] = blank(made, rows, attempt)
            broken[:, rows] = left & ~self.obeyed(self.draft(codes[rows], fixed[rows]))
            rows = rows[broken[:, rows].any(0) & ~hopeless[rows]]
            if not len(rows):
                break
        return codes, broken
