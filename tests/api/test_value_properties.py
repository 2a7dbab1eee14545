"""Quantities and label selectors against small exact models of their own."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from kubewheel.api import quantity, selectors

few = settings(max_examples=150, deadline=None)
SCALES = {**{s: Fraction(10) ** e for s, e in (("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12))},
          **{s: Fraction(1024) ** e for e, s in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)},
          **{f"e{e}": Fraction(10) ** e for e in range(-3, 4)}}


def texts():
    return st.builds(lambda sign, whole, part, scale: (sign + whole + part + scale, Fraction(sign + whole + part) * SCALES[scale]),
                     st.sampled_from(["", "-", "+"]), st.integers(0, 10**6).map(str),
                     st.sampled_from(["", ".5", ".25", ".125", ".1", ".001", "."]).filter(lambda p: p != "."),
                     st.sampled_from(sorted(SCALES)))


def nano_of(exact):
    """Finer than nano is rounded away from zero."""
    whole = abs(exact) * 10**9
    up = -(-whole.numerator // whole.denominator)
    return -up if exact < 0 else up


def up(exact):
    return -(-exact.numerator // exact.denominator)


@few
@given(texts())
def test_quantities_are_exact(pair):
    text, exact = pair
    nano = nano_of(exact)
    assert quantity.nano(text) == nano
    assert quantity.value(text) == up(Fraction(nano, 10**9)) and quantity.milli(text) == up(Fraction(nano, 10**6))
    shown = quantity.canonical(text)
    assert quantity.nano(shown) == nano and quantity.canonical(shown) == shown


@few
@given(texts(), texts())
def test_quantities_add_and_compare_as_fractions(one, other):
    (a, x), (b, y) = one, other
    x, y = nano_of(x), nano_of(y)
    assert quantity.nano(quantity.add(a, b)) == x + y
    assert quantity.nano(quantity.sub(a, b)) == x - y
    assert quantity.compare(a, b) == (x > y) - (x < y)


KEYS, VALUES = st.sampled_from(["a", "b", "example.com/c"]), st.sampled_from(["x", "y", ""])
LABELS = st.dictionaries(KEYS, VALUES, max_size=3)
TERMS = st.lists(st.tuples(KEYS, st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
                           st.lists(VALUES, min_size=1, max_size=2, unique=True)), max_size=3)


def holds(labels, key, operator, values):
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return (labels.get(key) in values) == (operator == "In")


@few
@given(LABELS, LABELS, TERMS)
def test_selectors_say_what_their_terms_say(labels, wanted, terms):
    selector = {"matchLabels": wanted, "matchExpressions": [
        {"key": key, "operator": operator, **({"values": values} if operator.endswith("In") else {})}
        for key, operator, values in terms]}
    says = all(labels.get(k) == v for k, v in wanted.items()) and all(holds(labels, *term) for term in terms)
    parsed = selectors.from_label_selector(selector)
    assert parsed.matches(labels) == says
    assert selectors.parse_label(selectors.to_text(selector)).matches(labels) == says
