"""What rules may cost at worst: the figures upstream's estimator gives, and what is refused for them."""

import pytest

from kubewheel.api import cel, codec
from kubewheel.api.apiextensions import declared, schemas

INT, NUMBER, STRING, BOOL = ({"type": t} for t in ("integer", "number", "string", "boolean"))
EITHER = {"x-kubernetes-int-or-string": True}


def text(form="", **more):
    return {"type": "string", **({"format": form} if form else {}), **more}


def array(items, **more):
    return {"type": "array", "items": items, **more}


def mapping(values, **more):
    return {"type": "object", "additionalProperties": values, **more}


@pytest.mark.parametrize(("schema", "rule", "cost"), [
    (array(NUMBER), "self.all(x, true)", 4718591), (array(NUMBER, maxItems=10), "self.all(x, true)", 32),
    (array(STRING), "self.all(x, true)", 3145727), (array(BOOL), "self.all(x, true)", 1887437),
    (array(array(NUMBER)), "self.all(x, true)", 3145727), (mapping(NUMBER), "self.all(x, true)", 1348169),
    (mapping(NUMBER), "has(self.x)", 1), (mapping(STRING), "self.all(x, true)", 1179647),
    (STRING, "self.contains('test')", 314574), (text(maxLength=10), "self.contains('test')", 5),
    (STRING, "self.startsWith('test')", 2), (STRING, 'size(self + "hello") > size("hello")', 314578),
    (array(NUMBER), "self[1] == 0.0", 2), (array(STRING), "self[1] == self[1]", 314577),
    (array(NUMBER, maxItems=10), "self.all(x, self.all(y, self.all(z, true)))", 3552),
    (STRING, 'self.matches("x")', 314574), (text(maxLength=50), 'self.matches("x")', 22),
    (STRING, '"".matches("(((((((((())))))))))[0-9]")', 7), (STRING, 'self.matches("")', 1),
    (STRING, 'self == "x"', 2), (text(maxLength=0), 'self == "x"', 1), (array(EITHER), "self[0] == 5", 3),
    (array(mapping(NUMBER)), "self.all(x, x.y == 25.2)", 6291452), (array(text("duration")), "self.all(x, true)", 2359295),
    (array(text("date")), "self.all(x, true)", 725936), (array(text("date-time")), "self.all(x, true)", 428963),
    (mapping(text("date-time")), 'self["a"] == self["b"]', 8), (STRING, "self.find('[0-9]+') == ''", 629147),
    (array(STRING), "self.isSorted() == true", 329854432052),
    (array(text(maxLength=10), maxItems=10), "self.join(' ') == 'aa bb'", 43), (STRING, "self.lowerAscii() == 'lower!'", 314575),
    (mapping(INT), "oldSelf.size() == self.size()", 5), (text(enum=["A", "LongValue"]), "self.contains('A')", 2),
    ({"type": "object", "properties": {"str": STRING, "separator": STRING}}, "self.str.split(self.separator) == []", 629160),
    ({"type": "object", "properties": {"str": STRING, "before": text(maxLength=2), "after": text(maxLength=4)}},
     "self.str.replace(self.before, self.after) == 'does not matter'", 629154)])
def test_estimates(schema, rule, cost):
    own = declared.kind(schema)
    assert cel.estimate(rule, {"self": own, "oldSelf": own}) == cost


def findings(schema):
    return [f"{f.field}: {f.body}" for f in schemas.check({"type": "object", "properties": {"spec": schema}}, "s")]


HINT = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"


def test_dear_rules_are_refused():
    strings = array({**STRING, "x-kubernetes-validations": [{"rule": "self.startsWith('x')"}]})
    assert findings(strings) == []
    within = array({**STRING, "x-kubernetes-validations": [{"rule": "self.contains('x')"}]})
    assert findings(within) == [
        "s.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor "
        f"of more than 100x {HINT}",
        "s.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule cost total "
        "exceeding cost limit for entire OpenAPIv3 schema",
        "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by "
        f"factor of more than 100x {HINT}"]
    bounded = codec.copy(within) | {"maxItems": 100}
    bounded["items"]["maxLength"] = 1000
    assert findings(bounded) == []
    bounded["maxItems"] = 60_000
    assert findings(bounded) == [
        "s.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor "
        f"of 2.4x {HINT}"]


def test_a_schema_left_as_it_was_is_not_judged_again():
    within = array({**STRING, "x-kubernetes-validations": [{"rule": "self.contains('x')"}]})
    told = [f.body for f in schemas.check({"type": "object", "properties": {"spec": within}}, "s", unchanged=True)]
    assert not any(t.startswith("Forbidden: estimated rule cost exceeds") for t in told)
    assert len(told) == 2  # but what all rules cost together is


@pytest.mark.parametrize(("source", "cost"), [
    ("self.l.all(i, i > 0)", 18), ("self.s == 'abc'", 3), ("has(self.s) && self.n > 1", 4), ("self.n in self.l", 5),
    ("self.s.contains('b') && self.s.matches('^a')", 6), ("[1, 2].exists(i, i == 9)", 13)])
def test_what_is_spent(source, cost):
    _, left = cel.compile(source, ("self",)).run(({"l": [1, 2, 3], "s": "abc", "n": 2},), 1000)
    assert 1000 - left == cost
