"""What rules say of rows, and how rows are made to obey them: each step against rows worked out by hand."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare

from vaekit.data import Column, Schema
from vaekit.data.tables.rules.fitting import describe_rule, fit_rules
from vaekit.data.tables.rules.rule_set import ATTEMPTS, PATIENCE, RuleSet
from vaekit.data.tables.rules.scales import make_scales
from vaekit.errors import DataError

NAN = np.nan
DAY = 86_400_000_000.0


def whole(name):
    return Column(name=name, kind="count", type="int64", spacing=1.0, rounding=1.0, lowest=0.0)


def real(name, kind="double"):
    return Column(name=name, kind="real", type=kind)


def cents(name):
    return Column(name=name, kind="real", type="double", rounding=0.01)


def hundreds(name):
    return Column(name=name, kind="count", type="int64", spacing=100.0, rounding=100.0, lowest=0.0)


def words(name, *texts, rare=()):
    return Column(name=name, kind="categorical", type="string", categories=texts, rare=rare)


def levels(name, *numbers):
    return Column(name=name, kind="ordinal", type="int64", categories=numbers)


def days(name):
    return Column(name=name, kind="datetime", type="date32[day]", spacing=DAY)


def rule_set(texts, columns, train):
    train = np.array(train, float)
    return RuleSet(columns, fit_rules(texts, columns, train))


def settle(texts, columns, train, filled, given=None):
    """Codes that obey, and for each row whether a rule is broken still."""
    given = np.full(np.shape(filled), NAN) if given is None else given
    codes, broken = rule_set(texts, columns, train).settle(np.array(filled, float), np.array(given, float))
    return codes.tolist(), broken.any(0).tolist()


ABC = (whole("a"), whole("b"), whole("c"))
ROWS = [[1, 2, 3], [0, 4, 4], [2, 2, 9]]


@pytest.mark.parametrize(
    ("text", "columns", "rows", "holds"),
    [
        ("a <= b", ABC, [[1, 2, 0], [2, 2, 0], [3, 2, 0], [NAN, 2, 0], [3, NAN, 0]], [1, 1, 0, 1, 1]),
        ("a < b", ABC, [[1, 2, 0], [2, 2, 0], [3, 2, 0]], [1, 0, 0]),
        ("a <= 2", ABC, [[2, 0, 0], [3, 0, 0]], [1, 0]),
        ("a > 2", ABC, [[2, 0, 0], [3, 0, 0]], [0, 1]),
        ("c == a + b", ABC, [[1, 2, 3], [1, 2, 4], [NAN, 2, 4]], [1, 0, 1]),
        ("c == a - b", ABC, [[5, 2, 3], [2, 5, 3]], [1, 0]),
        ("a == b", ABC, [[1, 1, 0], [1, 2, 0]], [1, 0]),
        # 0.1 + 0.2 is not 0.3 in binary; half a cent is less than the last digit
        ("t == x + y", (cents("t"), cents("x"), cents("y")), [[0.3, 0.1, 0.2], [0.31, 0.1, 0.2]], [1, 0]),
        ("t == x + y", (real("t"), real("x"), real("y")), [[0.3, 0.1, 0.2], [0.3000001, 0.1, 0.2]], [1, 0]),
        ("t == x + y", (real("t", "float"), real("x"), real("y")), [[0.3000001, 0.1, 0.2], [0.301, 0.1, 0.2]], [1, 0]),
        # sub grades A1, B1, B2 (codes 0 to 2), grades B, A (codes 0, 1)
        (
            "g == s[0]",
            (words("s", "A1", "B1", "B2"), words("g", "B", "A")),
            [[0, 1], [1, 0], [2, 1], [3, 1]],
            [1, 1, 0, 1],
        ),
        ("v == w", (words("v", "x", "y"), words("w", "y", "x")), [[0, 1], [0, 0]], [1, 0]),
        # numbers that are categories are compared as numbers: codes 0, 1 are 3, 7 and codes 0, 1 are 5, 3
        ("p <= q", (levels("p", 3.0, 7.0), levels("q", 5.0, 3.0)), [[0, 0], [0, 1], [1, 0]], [1, 1, 0]),
        ("from <= to", (days("from"), days("to")), [[0, DAY], [DAY, 0]], [1, 0]),
        ("from <= 1970-01-02", (days("from"), days("to")), [[DAY, 0], [2 * DAY, 0]], [1, 0]),
    ],
)
def test_a_rule_holds_or_not(text, columns, rows, holds):
    rows = np.array(rows, float)
    rules = rule_set([text], columns, np.repeat(rows[np.array(holds, bool)], 2, 0))
    assert (~rules.broken_by(rows)[0]).astype(int).tolist() == holds


LOAN = (hundreds("loan"), *(cents(name).model_copy(update={"lowest": 0.0}) for name in ("balance", "paid")))


def test_a_total_that_is_rounded_takes_the_difference_from_a_term():
    train = [[1000, 800.25, 199.75], [500, 500, 0]]
    filled, by_hand = [[700, 612.13, 300.9], [0, 30, 0]], [[900, 612.13, 287.87], [0, 0, 0]]
    codes, broken = settle(["loan == balance + paid"], LOAN, train, filled)
    np.testing.assert_allclose(codes, by_hand, atol=1e-9)
    assert broken == [False, False]
    codes, broken = settle(["loan == balance + paid"], LOAN, train, [[700, 612.13, 300.9]], [[NAN, NAN, 300.9]])
    np.testing.assert_allclose(codes, [[900, 599.1, 300.9]], atol=1e-9)
    codes, broken = settle(["loan == balance + paid"], LOAN, train, [[700, 612.13, 300.9]], [[NAN, 612.13, 300.9]])
    assert (codes, broken) == ([[900, 612.13, 300.9]], [True])  # the nearest one, which cannot be exact


FIVE = tuple(
    each.model_copy(update={"name": name}) for each, name in zip((*LOAN, LOAN[0], LOAN[1]), "txysw", strict=True)
)
NESTED, BESIDE = [[1000, 300.25, 199.75, 500, 500]] * 2, [[1000, 800.25, 199.75, 500, 300.25]] * 2


@pytest.mark.parametrize(
    ("texts", "train", "filled", "given", "expected"),
    [
        # s is 842.28 and would be 800, but then y is below 0: s is the next one, and t the sum of s and w
        (["t == s + w", "s == x + y"], NESTED, [4000, 821.24, 21.04, 0, 3000], [NAN, 821.24, NAN, NAN, 3000], [3900, 821.24, 78.76, 900, 3000]),
        # two totals share the last term of the first: it stays where the first one put it
        (["t == x + y", "s == w + y"], BESIDE, [0, 130, 280.5, 0, 77], [NAN] * 5, [400, 130, 270, 300, 30]),
        # a total of totals: w makes up what both are rounded by
        (["s == x + y", "t == w + s"], NESTED, [0, 130, 280.5, 0, 77], [NAN] * 5, [500, 130, 270, 400, 100]),
    ],
)  # fmt: skip
def test_several_totals_are_rounded_together(texts, train, filled, given, expected):
    codes, broken = settle(texts, FIVE, train, [filled], [given])
    np.testing.assert_allclose(codes, [expected], atol=1e-9)
    assert broken == [False]


def test_a_total_that_is_a_category_is_the_nearest_one():
    columns = (levels("loan", 1000.0, 2000.0, 5000.0), *LOAN[1:])
    train = [[0, 800.25, 199.75], [1, 2000, 0], [2, 5000, 0]]
    filled = [[0, 2300, 40.5], [0, 2960, 40], [0, 9000, 0]]
    codes, broken = settle(["loan == balance + paid"], columns, train, filled)
    np.testing.assert_allclose(codes[:2], [[1, 1959.5, 40.5], [1, 1960, 40]], atol=1e-9)
    assert broken == [False, False, True]


@pytest.mark.parametrize(("digits", "slips", "tolerance"), [(2, 9, 0.0), (2, 101, 50.0), (0, 9, 0.95), (-2, 9, 50.0)])
def test_sums_may_differ_by_twice_the_rounding_of_training_rows(digits, slips, tolerance):
    """2,000 loans, whose balances are exact, in whole units, or not known in hundreds; some rows are wrong by far more."""
    rng = np.random.default_rng(0)
    loan, paid = 100.0 * rng.integers(10, 50, 2000), rng.integers(0, 100_000, 2000) / 100
    balance = np.round(loan - paid, digits) if digits >= 0 else loan - paid + rng.uniform(-50, 50, 2000)
    balance[:slips] += 600
    rule = rule_set(["loan == balance + paid"], LOAN, np.column_stack([loan, balance, paid])).rules[0]
    assert rule.tolerance == pytest.approx(tolerance, abs=0.03)
    assert rule.broken == slips


def test_lists_of_combinations_come_from_the_training_rows():
    columns = (words("city", "Paris", "Lyon", "Rome", "Oslo"), words("country", "FR", "IT"), levels("zone", 1.0, 2.0))
    train = [[0, 0, 0]] * 5 + [[0, 1, 0]] + [[1, 0, 1]] * 3 + [[2, 1, 0]] * 2
    rules = rule_set(["city -> country", "fixed(country, zone)"], columns, train)
    rows = np.array([[0, 0, 0], [0, 1, 0], [3, 1, 0], [1, 0, 1], [2, 1, 1], [NAN, 1, 1], [1, NAN, 1]])
    assert (~rules.broken_by(rows)).astype(int).tolist() == [[1, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0, 1]]
    dependence, fixed = rules.rules
    assert (dependence.tested, dependence.broken) == (11, 1)
    assert (fixed.tested, fixed.broken) == (11, 0)


def test_the_share_of_training_rows_that_break_a_rule_is_said():
    rows = [[1, 2, 0]] * 3 + [[2, 1, 0]] + [[NAN, 1, 0]]
    (rule,) = fit_rules(["a <= b"], ABC, np.array(rows, float))
    assert describe_rule(rule) == "The rule 'a <= b' is broken by 1 of 4 training rows (25 %)."
    (rule,) = fit_rules(["a <= b"], ABC, np.array(rows[:2], float))
    assert describe_rule(rule) == "The rule 'a <= b' holds in all 2 training rows that have its cells."
    (rule,) = fit_rules(["a <= b"], ABC, np.array(rows[-1:], float))
    assert "could not be tested" in describe_rule(rule)
    with pytest.raises(DataError, match=r"^2 of 3 training rows break the rule 'a <= b'"):
        fit_rules(["a <= b"], ABC, np.array([[1, 2, 0], [2, 1, 0], [3, 1, 0]], float))


@pytest.mark.parametrize(
    ("texts", "filled", "given", "expected"),
    [
        (["c == a + b"], [4, 5, 1], [4, 5, NAN], [4, 5, 9]),  # the total follows from given terms
        (["c == a + b"], [9, 5, 12], [NAN, 5, 12], [7, 5, 12]),  # a term follows from the total and the other one
        (["c == a + b"], [4, 5, 12], [NAN, NAN, 12], [4, 8, 12]),  # the last free term makes up the difference
        (["c == a + b"], [4, 5, 1], None, [4, 5, 9]),
        (["a == b"], [1, 2, 0], [1, NAN, NAN], [1, 1, 0]),
        (["a == b", "c == a + b"], [1, 2, 0], [1, NAN, NAN], [1, 1, 2]),  # b follows from a, and then c
        (["a <= b"], [5, 3, 0], None, [5, 5, 0]),  # the upper one is raised
        (["a <= b"], [5, 3, 0], [NAN, 3, NAN], [3, 3, 0]),  # or the lower one lowered
        (["a < b"], [5, 3, 0], None, [5, 6, 0]),
        (["a <= b", "b <= c"], [5, 3, 4], None, [5, 5, 5]),
        (["a <= b", "b <= c"], [5, 9, 4], [NAN, NAN, 4], [4, 4, 4]),
        (["a <= b", "b < c"], [3, 9, 5], [3, NAN, 5], [3, 4, 5]),
        (["a <= 4", "a >= 2"], [9, 0, 0], None, [4, 0, 0]),
        (["a <= 4", "a >= 2"], [0, 0, 0], None, [2, 0, 0]),
        (["c == a + b", "c <= 6"], [4, 5, 1], None, [4, 2, 6]),  # a computed column moves, and its source with it
        (["c == a + b", "b <= c"], [4, 5, 7], None, [4, 5, 9]),
    ],
)
def test_typical_rows_are_computed_and_moved(texts, filled, given, expected):
    train = [[1, 1, 2], [2, 2, 4], [3, 3, 6]] if "a == b" in texts else [[1, 2, 3], [2, 3, 5], [3, 3, 6], [2, 2, 4]]
    assert settle(texts, ABC, train, [filled], None if given is None else [given]) == ([expected], [False])


@pytest.mark.parametrize(
    ("texts", "given"),
    [
        (["a <= b"], [5, 3, NAN]),
        (["c == a + b"], [5, 3, 1]),
        (["c == a + b"], [5, NAN, 1]),  # b would be −4, which a count cannot be
        (["a <= b", "b <= c"], [5, NAN, 3]),
    ],
)
def test_given_cells_that_break_a_rule_stay_and_are_counted(texts, given):
    given = np.array([given], float)
    filled = np.where(np.isnan(given), 4.0, given)
    codes, broken = settle(texts, ABC, [[1, 2, 3], [2, 3, 5], [3, 3, 6]], filled, given)
    assert codes == filled.tolist()
    assert broken == [True]


def test_a_missing_cell_that_stays_missing_breaks_nothing():
    assert settle(["a <= b", "c == a + b"], ABC, [[1, 2, 3]], [[5, NAN, 1]]) == (
        [[5, pytest.approx(NAN, nan_ok=True), 1]],
        [False],
    )


def test_texts_are_computed_and_chosen():
    columns = (words("s", "A1", "B1", "B2"), words("g", "B", "A"), words("p", "u", "v"))
    train = [[0, 1, 0]] * 4 + [[1, 0, 1]] * 2 + [[2, 0, 1]] * 3
    texts = ["g == s[0]", "fixed(g, p)"]
    assert settle(texts, columns, train, [[1, 1, 1]]) == ([[1, 0, 1]], [False])
    # B is given: of B1 and B2 the second is the more frequent one; A is given: only v is changed to u
    given = [[NAN, 0, NAN], [NAN, 1, NAN]]
    assert settle(texts, columns, train, [[0, 0, 1], [0, 1, 1]], given) == ([[2, 0, 1], [0, 1, 0]], [False, False])
    # only v goes with B, so s is changed with its computed grade
    assert settle(texts, columns, train, [[0, 1, 1]], [[NAN, NAN, 1]]) == ([[2, 0, 1]], [False])


def test_rare_values_are_compared_as_their_own():
    columns = (words("s", "A1", rare=(("B1", 3), ("C1", 2))), words("g", "A", rare=(("C", 2), ("B", 3))))
    assert settle(["g == s[0]"], columns, [[0, 0], [1, 2], [2, 1]], [[1, 0], [2, 0]]) == ([[1, 2], [2, 1]], [False] * 2)


@pytest.mark.parametrize(
    "column", [whole("x"), cents("x"), real("x"), real("x", "float"), days("x"), levels("x", 7.0, 2.0, 4.0)]
)
def test_the_next_value_of_a_column(column):
    scale = make_scales([column])["x"]
    base = np.array([2.0, 2.004, 3.999, 4.0, -1.0]) * (DAY if column.kind == "datetime" else 1)
    for strict in (False, True):
        above, below = scale.at_least(base, strict), scale.at_most(base, strict)
        assert (above > base).all() if strict else (above >= base).all()
        known = np.isfinite(below)
        assert (below[known] < base[known]).all() if strict else (below[known] <= base[known]).all()
        for found in (above, below[known]):
            assert np.array_equal(
                scale.values(scale.codes(found)), np.where(found < scale.low, NAN, found), equal_nan=True
            )
    expected = {"count": [2, 3, 4, 4], "datetime": [2 * DAY, 3 * DAY, 4 * DAY, 4 * DAY], "ordinal": [2, 4, 4, 4]}
    if column.kind in expected:
        assert scale.at_least(base, False)[:4].tolist() == expected[column.kind]


# ------------------------------------------------------------------ draws

PAIRS = np.array(list(itertools.product(range(4), range(4))), float)
A, B = PAIRS.T
P = (1 + A) * (5 - B) ** 2 + 30 * (A == B)
P /= P.sum()


def joint(seed):
    """Draws pairs from p(a, b | the cells that stay), independently for each attempt."""

    def draw(rows, attempt, start):
        fits = (np.isnan(start)[:, None] | (start[:, None] == PAIRS)).all(2)
        reached = (fits * P).cumsum(1)
        uniform = np.random.default_rng([seed, attempt]).random((len(rows), 1)) * reached[:, -1:]
        return PAIRS[(reached <= uniform).sum(1)]

    return draw


def half(rules):
    return lambda rows: np.full((len(rows), len(rules.rules)), 0.5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_cell_that_breaks_a_rule_is_drawn_again(order):
    columns = (whole("a"), whole("b"))
    rules = RuleSet(columns, rule_set(["a <= b"], columns, [[0, 1], [2, 3]]).rules, order)
    codes, broken = rules.draw(joint(0), np.full((40_000, 2), NAN), half(rules))
    assert not broken.any()
    obeys, first = A <= B, PAIRS[:, order[0]]
    own, share = (np.array([(P * some)[first == value].sum() for value in first]) for some in (np.ones(16), obeys))
    share = share / own  # P(the rule holds | the first cell)
    tried = 1 + PATIENCE  # then both cells are drawn again
    kept = P / share * (1 - (1 - share) ** tried)
    left = P @ (1 - share) ** tried
    expected = (kept + left * P / P[obeys].sum())[obeys]
    counts = np.array([(codes == pair).all(1).sum() for pair in PAIRS])
    assert counts[~obeys].sum() == 0
    assert expected.sum() == pytest.approx(1)
    assert chisquare(counts[obeys], 40_000 * expected).pvalue > 1e-3


def test_cells_before_the_one_that_breaks_a_rule_stay():
    texts, names = ["b <= a", "d == a + b", "c < d", "e <= 5"], "abcde"
    columns = tuple(map(whole, names))
    rules = RuleSet(columns, rule_set(texts, columns, [[2, 1, 1, 3, 0], [3, 2, 3, 5, 5]]).rules, (3, 0, 4, 2, 1))
    given = np.array([[False] * 5, [False, True, True, False, False], [False, False, False, True, False]])
    assert rules.ends(given[:1]).T.tolist() == [[4, 4, 4, 2]]  # d is computed when a and b are known
    assert rules.ends(given[1:]).T.tolist() == [[1, 1, 1, 2], [0, 0, 0, 0]]  # a or b may follow from a given d
    starts = []

    def draw(rows, attempt, start):
        starts.append(start.copy())
        made = np.array([[2.0, [7.0, 0.0, 2.0][attempt], 3.0, 5.0, [7.0, 5.0, 4.0][attempt]]])
        return np.where(np.isnan(start), made, start)

    codes, broken = rules.draw(draw, np.full((1, 5), NAN), half(rules))
    np.testing.assert_array_equal(starts[1:], [[[2, NAN, NAN, 5, NAN]], [[2, NAN, 3, 5, 5]]])
    assert codes.tolist() == [[2, 2, 3, 4, 5]]
    assert not broken.any()


def test_rules_are_tested_on_the_cells_that_stay():
    rules = rule_set(["a <= b"], (whole("a"), whole("b")), [[0, 1], [2, 3]])
    missing = np.random.default_rng(7).random(40_000) < 0.4

    def blank(codes, rows, _):
        return np.column_stack([codes[:, 0], np.where(missing[rows], NAN, codes[:, 1])])

    codes, broken = rules.draw(joint(2), np.full((40_000, 2), NAN), half(rules), blank)
    assert not broken.any()
    np.testing.assert_array_equal(np.isnan(codes[:, 1]), missing)
    counts, free = np.bincount(codes[missing, 0].astype(int)), np.array([P[a == A].sum() for a in range(4)])
    assert chisquare(counts, missing.sum() * free).pvalue > 1e-3
    assert (codes[~missing, 0] <= codes[~missing, 1]).all()


def test_constructed_rows_may_lack_cells():
    rules = rule_set(["a < b", "c == a + b"], ABC, [[1, 3, 4], [1, 5, 6], [2, 8, 10]])
    asked = []

    def blank(codes, rows, attempt):
        asked.append((attempt, rows.tolist()))
        return np.where(np.array([[False, False, True], [False, False, False]])[rows], NAN, codes)

    always = np.full((2, 3), NAN)
    codes, broken = rules.draw(lambda rows, *_: np.tile([7.0, 7.0, 0.0], (len(rows), 1)), always, half(rules), blank)
    assert not broken.any()
    np.testing.assert_array_equal(codes, [[7, 11, NAN], [7, 11, 18]])  # the middle difference is 4
    assert asked == [(attempt, [0, 1]) for attempt in range(ATTEMPTS + 1)]


def test_a_row_that_lacks_a_cell_of_a_broken_rule_is_kept(monkeypatch):
    rules = rule_set(["a < b"], (whole("a"), whole("b")), [[0, 1], [2, 3]])
    monkeypatch.setattr(rules, "_finish", lambda codes, *_: (codes, np.ones((1, len(codes)), bool)))

    def blank(codes, _, attempt):
        return codes if attempt < ATTEMPTS else np.column_stack([codes[:, 0], np.full(len(codes), NAN)])

    codes, broken = rules.draw(lambda rows, *_: np.full((len(rows), 2), 7.0), np.full((1, 2), NAN), half(rules), blank)
    assert not broken.any()
    np.testing.assert_array_equal(codes, [[7, NAN]])


@pytest.mark.parametrize("between", [0, 30])
def test_given_cells_stay_and_the_others_have_the_conditional_distribution(between):
    columns = (whole("a"), *(whole(f"c{i}") for i in range(between)), whole("b"))
    rules = rule_set(["a <= b"], columns, np.tile([[0.0], [2.0]], len(columns)))
    pairs = joint(1)

    def draw(rows, attempt, start):
        return np.insert(pairs(rows, attempt, start[:, [0, -1]]), [1] * between, 0.0, axis=1)

    given = np.full((20_000, len(columns)), NAN)
    given[:, -1] = 2.0
    codes, broken = rules.draw(draw, given, half(rules))
    counts = np.bincount(codes[:, 0].astype(int), minlength=4)
    assert not broken.any()
    assert counts[3] == 0
    expected = P[(B == 2) & (A <= 2)]
    assert chisquare(counts[:3], 20_000 * expected / expected.sum()).pvalue > 1e-3


def test_rows_that_never_obey_are_constructed():
    rules = rule_set(["a < b", "c == a + b"], ABC, [[1, 3, 4], [1, 5, 6], [2, 8, 10]])
    asked = []

    def draw(rows, attempt, _):
        asked.append(attempt)
        return np.tile([7.0, 7.0, 0.0], (len(rows), 1))

    uniform = np.array([[0.01, 0.5], [0.5, 0.5], [0.99, 0.5]])
    codes, broken = rules.draw(draw, np.full((3, 3), NAN), lambda rows: uniform[rows])
    assert asked == list(range(ATTEMPTS))
    assert not broken.any()
    # differences of the training rows are 2, 4 and 6
    assert codes.tolist() == [[7, 9, 16], [7, 11, 18], [7, 13, 20]]


def test_where_a_draw_cannot_be_mended_another_one_is(monkeypatch):
    rules = rule_set(["a < b"], (whole("a"), whole("b")), [[0, 1], [2, 3]])
    made = rules._finish

    def finish(codes, given, uniform):
        mended, broken = made(codes, given, uniform)
        far = codes[:, 0] > 5  # no way from here
        return np.where(far[:, None], codes, mended), broken | far

    def draw(rows, attempt, _):
        first = np.where((rows == 1) & (attempt < ATTEMPTS + 3), 7.0, 4.0)
        return np.column_stack([first, first])

    monkeypatch.setattr(rules, "_finish", finish)
    codes, broken = rules.draw(draw, np.full((2, 2), NAN), half(rules))
    assert not broken.any()
    assert codes[:, 0].tolist() == [4, 4]
    assert (codes[:, 1] > 4).all()


def test_combinations_are_constructed_in_proportion_to_their_counts():
    columns = (words("p", "u", "v"), words("q", "k", "l", "m"))
    rules = rule_set(["fixed(p, q)"], columns, [[0, 0]] * 3 + [[0, 1]] + [[1, 2]] * 4)
    numbers = (np.arange(400) + 0.5) / 400
    codes, broken = rules.draw(
        lambda rows, *_: np.tile([0.0, 2.0], (len(rows), 1)), np.full((400, 2), NAN), lambda rows: numbers[rows, None]
    )
    assert not broken.any()
    # each allowed combination keeps one of the two cells: u stays (k or l), or m stays (v)
    found, counts = np.unique(codes, axis=0, return_counts=True)
    assert found.tolist() == [[0, 0], [0, 1], [1, 2]]
    assert counts.tolist() == [150, 50, 200]


def test_impossible_rows_are_told_and_others_are_not_drawn_again_for_them():
    rules = rule_set(["a <= b", "c == a + b"], ABC, [[1, 3, 4], [2, 8, 10]])
    given = np.array([[5, 3, NAN], [1, NAN, NAN]])
    asked = []

    def draw(rows, attempt, _):
        asked.append((attempt, rows.tolist()))
        return np.where(np.isnan(given[rows]), 6.0, given[rows])

    codes, broken = rules.draw(draw, given, half(rules))
    assert asked == [(0, [0, 1])]
    assert codes.tolist() == [[5, 3, 8], [1, 6, 7]]
    assert broken.tolist() == [[True, False], [False, False]]


def test_rules_are_part_of_the_schema():
    columns = (words("s", "A1", "B1"), words("g", "B", "A"), whole("a"), days("d"))
    train = np.array([[0, 1, 1, 0], [1, 0, 2, DAY]])
    texts = ["g == s[0]", "a <= 100", "fixed(s, g)", "s -> d", "d >= 1970-01-01"]
    names = tuple(column.name for column in columns)
    schema = Schema(kind="mixed", shape=(4,), columns=names, table=columns, rules=fit_rules(texts, columns, train))
    assert Schema.model_validate(schema.model_dump(mode="json")) == schema
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    damaged = schema.model_dump(mode="json")
    damaged["rules"][1]["lower"] = "nobody"
    with pytest.raises(ValueError, match="rules of columns that do not exist"):
        Schema.model_validate(damaged)
    damaged = schema.model_dump(mode="json")
    damaged["rules"][2]["counts"] = [1]
    with pytest.raises(ValueError, match="another form"):
        Schema.model_validate(damaged)


def test_decoded_rows_obey_what_their_codes_obey():
    """Rounding and narrow types come after the model: the order must hold in what is written."""
    rng = np.random.default_rng(0)
    columns = (cents("a"), Column(name="b", kind="real", type="float"), Column(name="c", kind="real", type="int64"))
    rules = rule_set(["a <= b", "b < c"], columns, [[1.0, 2.0, 3.0], [1.5, 1.5, 2.0]])
    codes = np.sort(rng.normal(size=(500, 3)).round(2), 1) + rng.normal(size=(500, 3)) * 0.01
    settled, broken = rules.settle(codes)
    assert not broken.any()
    written = [column.decode(settled[:, i]) for i, column in enumerate(columns)]
    a, b, c = (np.asarray(cells.cast(pa.float64())) for cells in written)
    assert (a <= b).all()
    assert (b < c).all()
