"""Tokens into a tree; macros are recognised here.

In: the source. Out: ast.Node; ParseError with upstream's `ERROR: <input>:1:2: Syntax error: …` text.
Called by: program. Source of the rule: the CEL language definition's grammar.
"""

from __future__ import annotations

from kubewheel.api.cel import ast
from kubewheel.api.cel.lexer import SyntaxProblem, Token, tokens
from kubewheel.api.cel.values import MAX_INT

RESERVED = frozenset("as break const continue else for function if import let loop package namespace return var void "
                     "while".split())
MAX_DEPTH = 250
_RELATIONS = {"==": "_==_", "!=": "_!=_", "<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "in": "@in"}
# macro: with how many arguments it is one (three: two variables, but of map)
_MACROS = {"all": (2, 3), "exists": (2, 3), "exists_one": (2, 3), "existsOne": (3,), "map": (2, 3), "filter": (2,),
           "sortBy": (2,), **dict.fromkeys(("transformList", "transformMap", "transformMapEntry"), (3, 4))}


class ParseError(Exception):
    """The whole text users see; one `ERROR:` block per problem."""


def located(source: str, at: int, message: str) -> str:
    """One problem as cel-go shows it: place, words, the line, an arrow."""
    before = source[:at]
    line, column = before.count("\n"), at - (before.rfind("\n") + 1)
    text = (source.split("\n") or [""])[line].replace("\t", " ")
    arrow = "".join("．" if _is_wide(c) else "." for c in text[:column]) + ("＾" if _is_wide(text[column:column + 1]) else "^")
    shown = f"\n | {text}\n | {arrow}" if source[-1:] != "\n" or line < source.count("\n") else ""
    return f"ERROR: <input>:{line + 1}:{column + 1}: {message}{shown}"


def _is_wide(char: str) -> bool:
    """Takes more than one byte: what points at it is as wide."""
    return char > "\x7f"


MAX_TOLD = 100


def all_located(source: str, problems: list[tuple[int, str]]) -> str:
    """Every problem in the order of places, at most a hundred of them."""
    shown = [located(source, at, text) for at, text in sorted(problems[:MAX_TOLD], key=lambda p: p[0])]
    if len(problems) > MAX_TOLD:
        shown.append(f"{len(problems) - MAX_TOLD} more errors were truncated")
    return "\n".join(shown)


MAX_SOURCE = 100_000  # characters


def parse(source: str) -> ast.Node:
    if len(source) > MAX_SOURCE:
        raise ParseError(f"ERROR: <input>:-1:0: expression code point size exceeds limit: size: {len(source)}, "
                         f"limit {MAX_SOURCE}")
    found, problems = tokens(source)
    parser = _Parser(found, problems)
    tree: ast.Node = ast.Literal(0, None)
    try:
        tree = parser.whole()
    except SyntaxProblem as e:
        problems.append(e)
    if problems:
        raise ParseError(all_located(source, [
            (e.at, f"Syntax error: {e.message}" if e.syntax else e.message) for e in problems]))
    return tree


_OPENING = frozenset("[ { ( . - ! [?".split())


class _Parser:
    """`problems` takes what is wrong where reading can go on."""

    def __init__(self, found: list[Token], problems: list[SyntaxProblem]) -> None:
        self._tokens, self._next, self._depth, self._problems = found, 0, 0, problems

    # -- tokens ---------------------------------------------------------------------------------------------------
    def _is(self, *ops: str) -> bool:
        token = self._tokens[self._next]
        return token.kind == "op" and token.value in ops

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _accept(self, op: str) -> bool:
        if self._is(op):
            self._next += 1
            return True
        return False

    def _expect(self, op: str) -> Token:
        if not self._is(op):
            raise self._unexpected(f"expecting '{op}'")
        return self._take()

    def _unexpected(self, wanted: str = "", verb: str = "mismatched") -> SyntaxProblem:
        token = self._tokens[self._next]
        if wanted in ("expecting ')'", "expecting ']'") and token.kind == "end":
            return SyntaxProblem(f"missing {wanted[-3:]} at '<EOF>'", token.at)
        shown = token.text
        text = f"{verb} input '{shown}' " + (wanted or "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', "
                                                 "'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}")
        return SyntaxProblem(text, token.at)

    # -- expressions, loosest first -------------------------------------------------------------------------------
    def whole(self) -> ast.Node:
        node = self.expression()
        if self._tokens[self._next].kind != "end":
            token = self._tokens[self._next]
            raise SyntaxProblem(f"extraneous input '{token.text}' expecting <EOF>", token.at)
        return node

    def expression(self) -> ast.Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxProblem(f"expression recursion limit exceeded: {MAX_DEPTH}", self._tokens[self._next].at, syntax=False)
        condition = self._or()
        if self._is("?"):
            at = self._take().at
            yes = self._or()
            self._expect(":")
            condition = ast.Call(at, "_?_:_", None, (condition, yes, self.expression()))
        self._depth -= 1
        return condition

    def _or(self) -> ast.Node:
        left = self._and()
        while self._is("||"):
            left = ast.Call(self._take().at, "_||_", None, (left, self._and()))
        return left

    def _and(self) -> ast.Node:
        left = self._relation()
        while self._is("&&"):
            left = ast.Call(self._take().at, "_&&_", None, (left, self._relation()))
        return left

    def _relation(self) -> ast.Node:
        left = self._sum()
        while self._is(*_RELATIONS):
            token = self._take()
            left = ast.Call(token.at, _RELATIONS[token.value], None, (left, self._sum()))
        return left

    def _sum(self) -> ast.Node:
        left = self._product()
        while self._is("+", "-"):
            token = self._take()
            left = ast.Call(token.at, f"_{token.value}_", None, (left, self._product()))
        return left

    def _product(self) -> ast.Node:
        left = self._unary()
        while self._is("*", "/", "%"):
            token = self._take()
            left = ast.Call(token.at, f"_{token.value}_", None, (left, self._unary()))
        return left

    def _unary(self) -> ast.Node:
        if self._is("!"):
            at = self._take().at
            return ast.Call(at, "!_", None, (self._unary(),))
        if self._is("-"):
            at = self._take().at
            token = self._tokens[self._next]
            if token.kind == "literal" and type(token.value) in (int, float):
                if type(token.value) is int and token.value > MAX_INT + 1:
                    raise SyntaxProblem("invalid int literal", at, syntax=False)
                self._tokens[self._next] = Token("negative", -token.value, at, token.text)
                return self._member()
            return ast.Call(at, "-_", None, (self._unary(),))
        return self._member()

    def _member(self) -> ast.Node:
        node = self._primary()
        while True:
            if self._is("."):
                node = self._selection(node, self._take().at)
            elif self._is(".?"):
                at = self._take().at
                node = ast.Select(at, node, self._name().value, True)
            elif self._is("[", "[?"):
                token = self._take()
                index = self.expression()
                self._expect("]")
                node = ast.Call(token.at, "_[?_]" if token.value == "[?" else "_[_]", None, (node, index))
            elif self._is("{") and (struct := ast.qualified(node)):
                node = self._struct(struct)
            else:
                return node

    def _name(self) -> Token:
        token = self._tokens[self._next]
        if token.kind not in ("ident", "quoted"):
            before = self._tokens[self._next - 1].text
            raise SyntaxProblem(f"no viable alternative at input '{before}{token.text if token.kind != 'end' else ''}'", token.at)
        return self._take()

    def _selection(self, node: ast.Node, dot: int) -> ast.Node:
        name = self._name()
        if not self._is("(") or name.kind == "quoted":
            return ast.Select(dot, node, name.value)
        at = self._take().at
        args = self._arguments()
        return self._macro(at, node, name.value, args) or ast.Call(at, name.value, node, args)

    def _arguments(self) -> tuple[ast.Node, ...]:
        args: list[ast.Node] = []
        if self._accept(")"):
            return ()
        while True:
            args.append(self.expression())
            if self._accept(")"):
                return tuple(args)
            if not self._accept(","):
                raise self._unexpected("expecting ')'")

    def _macro(self, at: int, target: ast.Node, name: str, args: tuple[ast.Node, ...]) -> ast.Node | None:
        if name in ("optMap", "optFlatMap"):
            if len(args) != 2:
                return None
            return ast.Macro(at, name, target, (self._variable(args[0], f"{name}() variable name must be a simple identifier"),),
                             args[1:])
        if name == "sortBy" and len(args) == 2 and isinstance(target, (ast.Literal, ast.Map, ast.Struct)):
            raise SyntaxProblem("sortBy can only be applied to a list, identifier, comprehension, call or select expression",
                                target.at, syntax=False)
        if len(args) not in _MACROS.get(name, ()):
            return None
        two = name.startswith("transform") or len(args) == 3 and name != "map"
        name = "exists_one" if name == "existsOne" else name
        if two:
            first, second = (self._variable(a, "argument must be a simple name") for a in args[:2])
            if first == second:
                raise SyntaxProblem(f"duplicate variable name: {first}", args[1].at, syntax=False)
            return ast.Macro(at, name, target, (first, second), args[2:])
        simple = "argument is not an identifier" if name in ("map", "filter", "sortBy") else "argument must be a simple name"
        return ast.Macro(at, name, target, (self._variable(args[0], simple),), args[1:])

    @staticmethod
    def _variable(node: ast.Node, otherwise: str) -> str:
        if not isinstance(node, ast.Ident):
            raise SyntaxProblem(otherwise, node.at, syntax=False)
        return node.name

    def _primary(self) -> ast.Node:
        token = self._tokens[self._next]
        if token.kind == "literal":
            self._take()
            if type(token.value) is int and token.value > MAX_INT:
                raise SyntaxProblem("invalid int literal", token.at, syntax=False)
            return ast.Literal(token.at, token.value)
        if token.kind == "negative":
            self._take()
            return ast.Literal(token.at, token.value)
        if token.kind == "ident":
            return self._identifier()
        if self._accept("."):
            return self._identifier()
        if self._accept("("):
            node = self.expression()
            self._expect(")")
            return node
        if self._is("[", "[?"):
            return self._list()
        if self._is("{"):
            return self._map()
        after = self._tokens[self._next + 1] if token.kind != "end" else token
        if after.kind in ("literal", "ident") or after.kind == "op" and after.value in _OPENING:  # one too many: go on without
            self._problems.append(self._unexpected(verb="extraneous"))
            self._take()
            return self._primary()
        raise self._unexpected()

    def _identifier(self) -> ast.Node:
        name = self._name()
        if self._is("("):
            at = self._take().at
            args = self._arguments()
            if name.value == "has" and len(args) == 1:
                if not isinstance(args[0], ast.Select):
                    raise SyntaxProblem("invalid argument to has() macro", args[0].at, syntax=False)
                return ast.Has(at, args[0].operand, args[0].field)
            return ast.Call(at, name.value, None, args)
        if name.value in RESERVED:
            raise SyntaxProblem(f"reserved identifier: {name.value}", name.at, syntax=False)
        return ast.Ident(name.at, name.value)

    def _list(self) -> ast.Node:
        token = self._take()
        items: list[ast.Node] = []
        optional = set()
        maybe = token.value == "[?"
        while not self._is("]") and self._tokens[self._next].kind != "end":
            if maybe or self._accept("?"):
                optional.add(len(items))
                maybe = False
            items.append(self.expression())
            if not self._accept(","):
                self._closes("]")
                break
        self._expect("]")
        return ast.List(token.at, tuple(items), frozenset(optional))

    def _closes(self, bracket: str) -> None:
        if not self._is(bracket):
            raise self._unexpected(f"expecting {{'{bracket}', ','}}")

    def _map(self) -> ast.Node:
        at = self._take().at
        entries = []
        while not self._is("}"):
            optional = self._accept("?")
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression(), optional))
            if not self._accept(","):
                self._closes("}")
                break
        self._expect("}")
        return ast.Map(at, tuple(entries))

    def _struct(self, name: str) -> ast.Node:
        at = self._take().at
        entries = []
        while not self._is("}"):
            optional = self._accept("?")
            field = self._name()
            self._expect(":")
            entries.append((field.value, self.expression(), optional))
            if not self._accept(","):
                break
        self._expect("}")
        return ast.Struct(at, name, tuple(entries))
