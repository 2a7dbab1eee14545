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
# macro: how many arguments for one variable, for two (KEP-less: cel-go's ext.TwoVarComprehensions)
_MACROS = {"all": (2, 3), "exists": (2, 3), "exists_one": (2, 3), "existsOne": (2, 3), "map": (2, 3), "filter": (2, 0),
           "sortBy": (2, 0), "transformList": (0, 3), "transformMap": (0, 3), "transformMapEntry": (0, 3)}


class ParseError(Exception):
    """The whole text users see; one `ERROR:` block per problem."""


def located(source: str, at: int, message: str) -> str:
    """One problem as cel-go shows it: place, words, the line, an arrow."""
    before = source[:at]
    line, column = before.count("\n"), at - (before.rfind("\n") + 1)
    text = (source.split("\n") or [""])[line]
    return f"ERROR: <input>:{line + 1}:{column + 1}: {message}\n | {text}\n | {'.' * column}^"


def parse(source: str) -> ast.Node:
    try:
        return _Parser(tokens(source)).whole()
    except SyntaxProblem as e:
        words = e.message if e.message.startswith(("reserved", "expression")) else f"Syntax error: {e.message}"
        raise ParseError(located(source, e.at, words)) from e


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens, self._next, self._depth = found, 0, 0

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

    def _unexpected(self, wanted: str = "") -> SyntaxProblem:
        token = self._tokens[self._next]
        shown = token.value if token.kind != "literal" else repr(token.value)
        text = f"mismatched input '{shown}' " + (wanted or "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', "
                                                 "'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}")
        return SyntaxProblem(text, token.at)

    # -- expressions, loosest first -------------------------------------------------------------------------------
    def whole(self) -> ast.Node:
        node = self.expression()
        if self._tokens[self._next].kind != "end":
            token = self._tokens[self._next]
            raise SyntaxProblem(f"extraneous input '{token.value}' expecting <EOF>", token.at)
        return node

    def expression(self) -> ast.Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxProblem(f"expression recursion limit exceeded: {MAX_DEPTH}", self._tokens[self._next].at)
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
                    raise SyntaxProblem("invalid int literal", at)
                self._tokens[self._next] = Token("negative", -token.value, at)
                return self._member()
            return ast.Call(at, "-_", None, (self._unary(),))
        return self._member()

    def _member(self) -> ast.Node:
        node = self._primary()
        while True:
            if self._is("."):
                self._take()
                node = self._selection(node)
            elif self._is(".?"):
                self._take()
                name = self._name()
                node = ast.Select(name.at, node, name.value, True)
            elif self._is("[", "[?"):
                token = self._take()
                index = self.expression()
                self._expect("]")
                node = ast.Call(token.at, "_[?_]" if token.value == "[?" else "_[_]", None, (node, index))
            elif self._is("{") and (struct := ast.qualified(node)):
                node = self._struct(node.at, struct)
            else:
                return node

    def _name(self) -> Token:
        token = self._tokens[self._next]
        if token.kind not in ("ident", "quoted"):
            raise self._unexpected("expecting IDENTIFIER")
        return self._take()

    def _selection(self, node: ast.Node) -> ast.Node:
        name = self._name()
        if not self._is("(") or name.kind == "quoted":
            return ast.Select(name.at - 1, node, name.value)
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
            self._expect(",")

    def _macro(self, at: int, target: ast.Node, name: str, args: tuple[ast.Node, ...]) -> ast.Node | None:
        if name in ("optMap", "optFlatMap") and len(args) == 2:
            return ast.Macro(at, name, target, (self._variable(args[0]),), args[1:])
        if name == "bind" and isinstance(target, ast.Ident) and target.name == "cel" and len(args) == 3:
            return ast.Macro(at, "bind", args[1], (self._variable(args[0]),), args[2:])
        one, two = _MACROS.get(name, (0, 0))
        name = "exists_one" if name == "existsOne" else name
        if name.startswith("transform"):
            if len(args) in (3, 4):
                return ast.Macro(at, name, target, (self._variable(args[0]), self._variable(args[1])), args[2:])
            return None
        if name == "map" and len(args) in (2, 3):
            return ast.Macro(at, name, target, (self._variable(args[0]),), args[1:])
        if one and len(args) == one:
            return ast.Macro(at, name, target, (self._variable(args[0]),), args[1:])
        if two and len(args) == two:
            return ast.Macro(at, name, target, (self._variable(args[0]), self._variable(args[1])), args[2:])
        return None

    @staticmethod
    def _variable(node: ast.Node) -> str:
        if not isinstance(node, ast.Ident):
            raise SyntaxProblem("argument must be a simple name", node.at)
        return node.name

    def _primary(self) -> ast.Node:
        token = self._tokens[self._next]
        if token.kind == "literal":
            self._take()
            if type(token.value) is int and token.value > MAX_INT:
                raise SyntaxProblem("invalid int literal", token.at)
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
        raise self._unexpected()

    def _identifier(self) -> ast.Node:
        name = self._name()
        if self._is("("):
            at = self._take().at
            args = self._arguments()
            if name.value == "has":
                if len(args) != 1 or not isinstance(args[0], ast.Select):
                    raise SyntaxProblem("invalid argument to has() macro", args[0].at if args else at)
                return ast.Has(at, args[0].operand, args[0].field)
            return ast.Call(at, name.value, None, args)
        if name.value in RESERVED:
            raise SyntaxProblem(f"reserved identifier: {name.value}", name.at)
        return ast.Ident(name.at, name.value)

    def _list(self) -> ast.Node:
        token = self._take()
        items: list[ast.Node] = []
        optional = set()
        maybe = token.value == "[?"
        while not self._is("]"):
            if maybe or self._accept("?"):
                optional.add(len(items))
                maybe = False
            items.append(self.expression())
            if not self._accept(","):
                break
        self._expect("]")
        return ast.List(token.at, tuple(items), frozenset(optional))

    def _map(self) -> ast.Node:
        at = self._take().at
        entries = []
        while not self._is("}"):
            optional = self._accept("?")
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression(), optional))
            if not self._accept(","):
                break
        self._expect("}")
        return ast.Map(at, tuple(entries))

    def _struct(self, at: int, name: str) -> ast.Node:
        self._expect("{")
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
