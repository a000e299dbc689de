"""The syntax of the query language: text to a tree, with the column of every mistake.

    expression = operand { OPERATOR operand }                    all operators bind alike, from the left
    OPERATOR   = "+" | "union" | "-" | "except" | "^" | "intersect"
    operand    = "let" NAME "=" expression "in" expression | "(" expression ")" | "set" "(" { ["-"] PATTERN } ")"
               | FUNCTION "(" argument { "," argument } ")" | "$" NAME | PATTERN

Words hold letters, digits and `_ . / : @ ~ # * -`, and begin with none of `- *`; anything else goes between quotes.
"""

import re
from typing import NamedTuple

from bldr.api.errors import BldrError
from bldr.load.suggest import suggest

NESTING = 100
"""How deep parentheses, calls and lets may nest; people write three."""

_TOKEN = re.compile(r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<word>\$?[\w./:@~#][\w./:@~#*-]*)|(?P<sign>[-+^(),=]))""")
_OPERATORS = {"+": "+", "union": "+", "-": "-", "except": "-", "^": "^", "intersect": "^"}


def repositories_in(expression: str) -> set[str]:
    """The external sources that an expression mentions."""
    return set(re.findall(r"@([\w.-]+)//", expression))


class QueryError(BldrError):
    """An expression that cannot be answered; the message points at the offending column."""


class Token(NamedTuple):
    kind: str  # quoted, word, sign or end
    text: str
    column: int  # from 0


class Pattern(NamedTuple):
    token: Token


class Variable(NamedTuple):
    token: Token


class PatternSet(NamedTuple):
    patterns: tuple[tuple[bool, Token], ...]  # taken away?, pattern


class Call(NamedTuple):
    name: str
    token: Token
    arguments: tuple["Expression | Token", ...]


class Let(NamedTuple):
    name: str
    value: "Expression"
    body: "Expression"


class Chain(NamedTuple):
    first: "Expression"
    rest: tuple[tuple[str, "Expression"], ...]


Expression = Pattern | Variable | PatternSet | Call | Let | Chain


class _Function(NamedTuple):
    usage: str
    arguments: str  # e: expression, w: word, n: number; in capitals where it may be left out


_FUNCTIONS = {
    "deps": _Function("deps(expression, depth)", "eN"),
    "rdeps": _Function("rdeps(universe, expression, depth)", "eeN"),
    "allpaths": _Function("allpaths(from, to)", "ee"),
    "somepath": _Function("somepath(from, to)", "ee"),
    "kind": _Function("kind(regex, expression)", "we"),
    "attr": _Function("attr(name, regex, expression)", "wwe"),
    "filter": _Function("filter(regex, expression)", "we"),
    "tests": _Function("tests(expression)", "e"),
    "labels": _Function("labels(attribute, expression)", "we"),
}


def query_error(text: str, column: int, message: str, hint: str = "") -> QueryError:
    shown = text.replace("\n", " ").replace("\t", " ")
    return QueryError(f"query:{column + 1}: {message}\n    {shown}\n    {' ' * column}^", hint)


def parse(text: str) -> Expression:
    """Read an expression. Raises QueryError."""
    return _Parser(text).parse()


class _Parser:
    """Owns the position in the text. One method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._at = 0
        self._nested = 0

    def parse(self) -> Expression:
        expression = self._expression()
        token = self._peek()
        if token.kind != "end":
            raise self._wrong(token, "expected an operator")
        return expression

    def _split(self) -> list[Token]:
        tokens = []
        position = 0
        end = len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None:
                position += len(self._text[position:]) - len(self._text[position:].lstrip())
                wrong = self._text[position]
                if wrong in "\"'":
                    raise query_error(self._text, position, "the quote that begins here has no end")
                raise query_error(self._text, position, f'"{wrong}" cannot stand here', f"quote it: '...{wrong}...'")
            kind = match.lastgroup or ""
            tokens.append(Token(kind, match[kind], match.start(kind)))
            position = match.end()
        tokens.append(Token("end", "", end))
        return tokens

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind != "end"
        return token

    def _wrong(self, token: Token, expected: str, hint: str = "") -> QueryError:
        found = "the expression ends" if token.kind == "end" else f"found {token.text}"
        return query_error(self._text, token.column, f"{expected} but {found}", hint)

    def _sign(self, sign: str, hint: str = "") -> None:
        token = self._next()
        if (token.kind, token.text) != ("sign", sign):
            raise self._wrong(token, f'expected "{sign}"', hint)

    def _expression(self) -> Expression:
        first = self._operand()
        rest = []
        while self._peek().kind != "quoted" and self._peek().text in _OPERATORS:
            operator = _OPERATORS[self._next().text]
            rest.append((operator, self._operand()))
        return Chain(first, tuple(rest)) if rest else first

    def _operand(self) -> Expression:
        self._nested += 1
        token = self._next()
        if self._nested > NESTING:
            raise query_error(self._text, token.column, f"more than {NESTING} expressions inside each other")
        expression = self._operand_from(token)
        self._nested -= 1
        return expression

    def _operand_from(self, token: Token) -> Expression:
        follows = self._peek()
        called = token.kind == "word" and (follows.kind, follows.text) == ("sign", "(")
        if (token.kind, token.text) == ("sign", "("):
            expression = self._expression()
            self._sign(")")
            return expression
        if called and token.text == "set":
            return self._set()
        if called:
            return self._call(token)
        if token == ("word", "let", token.column):
            return self._let()
        if token.kind == "word" and token.text.startswith("$"):
            return Variable(token)
        if token.kind == "quoted" or (token.kind == "word" and token.text not in (*_OPERATORS, "in")):
            return Pattern(_unquoted(token))
        raise self._wrong(token, "expected a target pattern, a function or a parenthesis")

    def _let(self) -> Let:
        name = self._next()
        if name.kind != "word" or not name.text.isidentifier():
            raise self._wrong(name, "expected the name of a variable", "let v = //pkg/... in deps($v)")
        self._sign("=")
        value = self._expression()
        word = self._next()
        if (word.kind, word.text) != ("word", "in"):
            raise self._wrong(word, 'expected "in"', "let v = //pkg/... in deps($v)")
        return Let(name.text, value, self._expression())

    def _set(self) -> PatternSet:
        self._sign("(")
        patterns = []
        while (self._peek().kind, self._peek().text) != ("sign", ")"):
            taken_away = (self._peek().kind, self._peek().text) == ("sign", "-")
            if taken_away:
                self._next()
            token = self._next()
            if token.kind not in ("word", "quoted"):
                raise self._wrong(token, "expected a target pattern", "set(//a //b/... -//b:c) takes patterns only")
            patterns.append((taken_away, _unquoted(token)))
        self._sign(")")
        return PatternSet(tuple(patterns))

    def _call(self, name: Token) -> Call:
        function = _FUNCTIONS.get(name.text)
        if function is None:
            hint = suggest(name.text, list(_FUNCTIONS)) or "the functions are: " + ", ".join(_FUNCTIONS)
            raise query_error(self._text, name.column, f'no function "{name.text}"', hint)
        self._sign("(")
        arguments: list[Expression | Token] = []
        for index, kind in enumerate(function.arguments):
            if kind.isupper() and self._peek().text != ",":
                break
            if index:
                self._sign(",", f"usage: {function.usage}")
            arguments.append(self._expression() if kind == "e" else self._word(kind, function))
        self._sign(")", f"usage: {function.usage}")
        return Call(name.text, name, tuple(arguments))

    def _word(self, kind: str, function: _Function) -> Token:
        token = self._next()
        if kind == "N" and not (token.text.isascii() and token.text.isdigit()):
            raise self._wrong(token, "expected a number", f"usage: {function.usage}")
        if token.kind not in ("word", "quoted"):
            raise self._wrong(token, "expected a word", f"usage: {function.usage}")
        return _unquoted(token)


def _unquoted(token: Token) -> Token:
    return token._replace(text=token.text[1:-1], column=token.column + 1) if token.kind == "quoted" else token
