"""What Go's JSON decoder says and does."""

import math

import pytest

from kubewheel.api import codec, errors, go_json


@pytest.mark.parametrize("raw, text", [
    (b"", "unexpected end of JSON input"), (b"{", "unexpected end of JSON input"),
    (b"x", "invalid character 'x' looking for beginning of value"),
    (b"\x00", "invalid character '\\x00' looking for beginning of value"),
    (b"not", "invalid character 'o' in literal null (expecting 'u')"),
    (b'{"a":nul}', "invalid character '}' in literal null (expecting 'l')"),
    (b"tru", "unexpected end of JSON input"),
    (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
    (b'{"a":1} x', "invalid character 'x' after top-level value"),
    (b"\xff", "invalid character 'ÿ' looking for beginning of value"),
])
def test_errors(raw, text):
    assert go_json.error(raw) == text


@pytest.mark.parametrize("raw, value", [
    (b'{"a":1.0,"b":1e3,"c":0.5,"d":-0,"e":[2.0]}', {"a": 1, "b": 1000, "c": 0.5, "d": 0, "e": [2]}),
    (b'{"a":9223372036854775807,"b":9223372036854775808}', {"a": 9223372036854775807, "b": 9.223372036854776e18}),
    (b'{"a":true,"b":"1.0"}', {"a": True, "b": "1.0"}),
])
def test_numbers_are_go_s(raw, value):
    made = go_json.numbers(codec.loads(raw), raw)
    assert made == value and codec.dumps(made) == codec.dumps(value)


def test_text_that_is_no_unicode_is_mended():
    assert go_json.lenient(b'{"a":"\xff","b":"\\ud800","c":1.5}') == {"a": "\ufffd", "b": "\ufffd", "c": 1.5}
    with pytest.raises(go_json.OutOfRange, match="cannot unmarshal number 1e999 into Go value of type float64"):
        go_json.lenient(b'{"a":1e999}')
    with pytest.raises(ValueError):
        go_json.lenient(b"NaN")
    assert math.isclose(go_json.lenient(b"1.25"), 1.25)


@pytest.mark.parametrize("text, quoted", [
    ("a", '"a"'), ('"', '"\\""'), ("\\", '"\\\\"'), ("a\x01\n", '"a\\x01\\n"'), ("é", '"é"'), ("\u200b", '"\\u200b"'),
    ("\U000e0001", '"\\U000e0001"'), ("\x7f", '"\\x7f"')])
def test_quoted(text, quoted):
    assert errors.quoted(text) == quoted
