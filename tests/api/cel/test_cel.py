"""Expressions and their values; what does not compile; what it costs."""

import pytest

from kubewheel.api import cel

SELF = {"x": {"y": 3}, "z": "abc", "l": [1, 2, 3], "m": {"a": 1, "b.c": 2}, "n": None}


def value(source):
    return cel.compile(source, ("self",)).run((SELF,))[0]


@pytest.mark.parametrize("source", [
    "1 + 2 * 3 == 7", "7 / -2 == -3", "-7 % 3 == -1", "dyn(1) == dyn(1.0)", "dyn(1) != dyn('1')", "dyn(1) != dyn(true)",
    "-9223372036854775808 < 0", "0x1F == 31", "1u + 2u == 3u", "'a' + 'b' == 'ab'", "[1] + [2] == [1, 2]",
    "b'abc' == bytes('abc')", r"'\u00e9' == 'é'", r"r'\d' == '\\d'", "'''a'b''' == \"a'b\"", "1.5e3 == 1500.0",
    "self.x.y == 3 && self.z == 'abc'", "has(self.x.y) && !has(self.x.q)", "self['z'] == 'abc'", "3 in self.l",
    "'a' in self.m", "self.m.b__dot__c == 2", "self.n == null", "self.l.all(i, i > 0)", "self.l.exists(i, i == 2)",
    "self.l.exists_one(i, i > 2)", "self.l.map(i, i * 2) == [2, 4, 6]", "self.l.filter(i, i > 1) == [2, 3]",
    "self.l.map(i, i > 1, i * i) == [4, 9]", "self.m.all(k, k != 'z')", "self.l.all(i, v, v == i + 1)",
    "self.l.transformList(i, v, i * v) == [0, 2, 6]", "self.m.transformMap(k, v, v + 1)['a'] == 2",
    "{'k': 'v'}.transformMapEntry(k, v, {v: k}) == {'v': 'k'}",
    "self.?q.orValue(5) == 5", "self.x.?y.hasValue()", "self.l[?9].orValue(0) == 0", "optional.of(3).optMap(v, v + 1).value() == 4",
    "[?optional.none(), ?optional.of(1)] == [1]", "{?'a': optional.none()} == {}", "optional.none().orValue(1) == 1",
    "(false && (1 / 0 == 1)) == false", "!((1 / 0 == 1) && false)", "(1 / 0 == 1) || true", "[0, 1].exists(i, 1 / i == 1)",
    "size('héé') == 3", "'abc'.matches('^a.c$')", "'hello'.find('l+') == 'll'", "'a1b22'.findAll('[0-9]+') == ['1', '22']",
    "'a,b'.split(',') == ['a', 'b']", "'abc'.substring(1, 2) == 'b'", "'AbC'.lowerAscii() == 'abc'", "['a', 'b'].join('-') == 'a-b'",
    "'abcb'.lastIndexOf('b') == 3", "'%s %d %.1f %x'.format(['a', 3, 2.5, 255]) == 'a 3 2.5 ff'", "' a '.trim() == 'a'",
    "duration('1h30m').getMinutes() == 90", "timestamp('2024-01-02T03:04:05Z').getFullYear() == 2024",
    "timestamp('2024-01-02T03:04:05Z') + duration('1h') == timestamp('2024-01-02T05:04:05+01:00')",
    "timestamp('2024-06-01T00:00:00Z').getHours('Europe/Berlin') == 2", "string(duration('90s')) == '90s'",
    "int('12') == 12 && int(3.9) == 3 && string(1.0) == '1' && double('2.5') == 2.5 && uint(3) == 3u", "type(1) == int",
    "[1, 2, 3].sum() == 6 && [3, 1].min() == 1 && ['a', 'b'].isSorted() && [1, 2, 1].lastIndexOf(1) == 2",
    "[3, 1, 2].sort() == [1, 2, 3] && [1, 2, 3].slice(1, 3) == [2, 3] && [[[1]], [[2, 3]]].flatten(2) == [1, 2, 3]",
    "lists.range(3) == [0, 1, 2] && [1, 1, 2].distinct() == [1, 2] && [1, 2].reverse() == [2, 1]",
    "[{'a': 2}, {'a': 1}].sortBy(x, x.a) == [{'a': 1}, {'a': 2}]",
    "quantity('1Gi').isGreaterThan(quantity('1Mi')) && quantity('500m').add(quantity('500m')).asInteger() == 1",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsCIDR('10.0.0.0/7')",
    "ip('::1').isLoopback() && ip('1.2.3.4').family() == 4 && isIP('::1') && !isIP('01.2.3.4') && ip.isCanonical('::1')",
    "url('https://a.b:80/x?y=1').getHostname() == 'a.b' && url('https://a/?y=1').getQuery()['y'] == ['1'] && !isURL('x')",
    "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0')) && semver('v1.2', true).minor() == 2",
    "format.dns1123Label().validate('A').hasValue() && !format.named('date').value().validate('2024-01-02').hasValue()",
    "sets.contains([1, 2], [1])", "self.z.startsWith('a') ? true : false", "// words\ntrue",
])
def test_true(source):
    assert value(source) is True


@pytest.mark.parametrize("source", [
    "jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'", "Object{spec: Object.spec{a: 1}}.spec.a == 1",
    "JSONPatch{op: 'add', path: '/a', value: 1}.op == 'add'"])
def test_where_patches_are_made(source):
    assert cel.compile(source, (), patches=True).run(())[0] is True
    with pytest.raises(cel.ParseError):
        cel.compile(source, ())


@pytest.mark.parametrize(("source", "words"), [
    ("9223372036854775807 + 1 == 0", "integer overflow"), ("1u - 2u == 0u", "unsigned integer overflow"),
    ("1 / 0 == 1", "division by zero"), ("1 % 0 == 1", "modulus by zero"), ("self.q", "no such key: q"),
    ("self.l[9]", "index out of bounds: 9"), ("self.x + 1", "no such overload: _+_"),
    ("optional.none().value()", "optional.none() dereference"), ("self.l.all(i, i / 0 == 1)", "division by zero"),
    ("timestamp('9999-12-31T23:59:59Z') + duration('1h')", "timestamp overflow"), ("sign(quantity(self.z))", "quantities must match"),
])
def test_errors(source, words):
    with pytest.raises(cel.CelError) as e:
        value(source)
    assert str(e.value).startswith(words)


@pytest.mark.parametrize(("source", "words"), [
    ("1 +", "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>'"),
    ("nobody == 1", "ERROR: <input>:1:1: undeclared reference to 'nobody' (in container '')\n | nobody == 1\n | ^"),
    ("1 < 'a'", "ERROR: <input>:1:3: found no matching overload for '_<_' applied to '(int, string)'"),
    ("'a'.foo()", "ERROR: <input>:1:8: undeclared reference to 'foo'"),
    ("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"),
    ("{'a': 1, 'b': true}", "ERROR: <input>:1:15: expected type 'int' but found 'bool'"),
    ("duration('x') == self", "ERROR: <input>:1:10: invalid duration argument"),
    ("timestamp('2024') == self", "ERROR: <input>:1:11: invalid timestamp argument"),
    ("self.matches('(')", "ERROR: <input>:1:14: invalid matches argument"),
    ("for", "ERROR: <input>:1:1: reserved identifier: for"),
    ("'a", "ERROR: <input>:1:1: Syntax error: token recognition error"),
    ("'a'.startsWith(1)", "ERROR: <input>:1:15: found no matching overload for 'startsWith' applied to 'string.(int)'"),
])
def test_what_does_not_compile(source, words):
    with pytest.raises(cel.ParseError) as e:
        cel.compile(source, ("self",))
    assert str(e.value).startswith(words)


def test_cost():
    program = cel.compile("self.l.all(i, i > 0)", ("self",))
    result, left = program.run((SELF,), 1000)
    assert result is True and 900 < left < 1000
    with pytest.raises(cel.CostExceeded):
        program.run(({"l": [1] * 500},), 1000)
    with pytest.raises(cel.CostExceeded):  # nothing absorbs it
        cel.compile("self.l.all(i, true) || true", ("self",)).run(({"l": [1] * 500},), 1000)
