"""Every sentence that the source gives to an error, found by reading its syntax tree: nothing has to be registered.

A sentence is a template: fields of an f-string stand as ``{name}``, their names guessed from the code; one that may
hold words of ours, which are found as well, stands as ``{reason}``. Only the words between the fields identify a
template, so renaming a variable changes nothing (:func:`skeleton`).
"""

import ast
import itertools
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tuwen.errors import all_errors

ROOT = Path(__file__).parents[2]
ROOMS = ("tuwen", "ingest", "retrieval", "vlm", "api")
TAKES_SENTENCE = {error.__name__ for error in all_errors()} | {"BadParameter", "TryAgainError"}
_SEVERAL_WORDS = re.compile(r"[a-z]+ .*[a-z]+|[a-z]+ .*\{\}")
TAKES_MESSAGE = {"Skipped", "PageWarning", "Problem", "Finding"}


class Sentence(NamedTuple):
    """A template and where it stands."""

    template: str
    place: str


class UnderivableError(Exception):
    """The expression has no words that reading the source can tell."""


def sentences() -> list[Sentence]:
    """All sentences of all rooms. Raises UnderivableError with the places that cannot be read."""
    found: list[Sentence] = []
    opaque: list[str] = []
    for path in itertools.chain.from_iterable((ROOT / room).rglob("*.py") for room in ROOMS):
        module = _Module(path)
        for node, place in module.given():
            try:
                found.extend(Sentence(template, place) for template in module.phrases(node))
            except UnderivableError:
                opaque.append(f"{place}: {ast.unparse(node)}")
    if opaque:
        raise UnderivableError("\n".join(opaque))
    return found


def skeleton(template: str) -> str:
    """The words of a template, its fields unnamed."""
    return "".join(text + ("{}" if name is not None else "") for text, name, _, _ in string.Formatter().parse(template))


class _Module:
    def __init__(self, path: Path) -> None:
        self._place = str(path.relative_to(ROOT))
        self._tree = ast.parse(path.read_text("utf-8"))
        self._functions = {n.name: n for n in ast.walk(self._tree) if isinstance(n, ast.FunctionDef)}
        self._scope: dict[ast.AST, ast.AST] = {}
        for function in [self._tree, *self._functions.values()]:  # outer first, so that the innermost stays
            self._scope.update(dict.fromkeys(ast.walk(function), function))

    def given(self) -> Iterator[tuple[ast.expr, str]]:
        """The expressions given as sentences, and those that begin one in another module: what is called ``what``."""
        for node in ast.walk(self._tree):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                    yield from ((words, f"{self._place}:{node.lineno}") for words in _said(name, node))
                case ast.Assign(targets=[ast.Name(id="what")], value=value):
                    yield value, f"{self._place}:{node.lineno}"
                case ast.FunctionDef(name="_what", body=[*_, ast.Return(value=ast.expr() as value)]):
                    yield value, f"{self._place}:{node.lineno}"

    def phrases(self, node: ast.expr) -> Iterator[str]:
        """The templates of ``node``, and those of phrases of ours that fill their fields."""
        for parts in filter(None, self._forms(node)):
            words = list(parts)
            for at, field in enumerate(parts):
                if not isinstance(field, str):
                    inner = self._inner(field)
                    words[at] = "{reason}" if inner or _name(field) == "what" else f"{{{_name(field)}}}"
                    yield from inner
            yield "".join(map(str, words))

    def _inner(self, field: ast.expr) -> list[str]:
        try:
            return [phrase for phrase in self.phrases(field) if _SEVERAL_WORDS.search(skeleton(phrase))]
        except UnderivableError:
            return []  # a value, not words

    def _forms(self, node: ast.expr) -> list[list[str | ast.expr]]:
        """Each way that ``node`` can read, as words and fields."""
        match node:
            case ast.Constant(value=""):
                return [[]]
            case ast.Constant(value=str(text)):
                return [[text.replace("{", "{{").replace("}", "}}")]]
            case ast.JoinedStr(values=values):
                return [[form for value in values for form in self._piece(value)]]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return [a + b for a, b in itertools.product(self._forms(left), self._forms(right))]
            case ast.Attribute(attr="message") | ast.Call(func=ast.Attribute(attr="format_message")):
                return []  # of an error: found where that one arises
        forms = []
        for choice in self._choices(node):
            try:
                forms += self._forms(choice)
            except UnderivableError:
                continue
        if not forms:
            raise UnderivableError
        return forms

    def _piece(self, node: ast.expr) -> list[str | ast.expr]:
        return [node.value] if isinstance(node, ast.FormattedValue) else self._forms(node)[0]

    def _choices(self, node: ast.expr) -> Iterator[ast.expr]:
        """What ``node`` may stand for: branches, what a name was set or passed, what a function returns."""
        match node:
            case ast.IfExp(body=one, orelse=other):
                yield from (one, other)
            case ast.BoolOp(values=values):
                yield from values
            case ast.Name(id=name):
                yield from self._assigned(node, name)
                yield from self._passed(self._scope[node], name)
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                for inner in ast.walk(self._functions[name]):
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        yield inner.value
            case (
                ast.Call(func=ast.Attribute(attr="get", value=ast.Name(id=name)))
                | ast.Subscript(value=ast.Name(id=name))
            ):
                for table in self._assigned(node, name):
                    yield from table.values if isinstance(table, ast.Dict) else ()
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=element)]):
                yield element

    def _assigned(self, node: ast.AST, name: str) -> Iterator[ast.expr]:
        for statement in ast.walk(self._tree):
            match statement:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    pass
                case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                    pass
                case ast.For(
                    target=ast.Tuple(elts=[_, ast.Name(id=target)]),
                    iter=ast.Call(func=ast.Attribute(attr="items", value=ast.Name(id=table))),
                ) if target == name:
                    for values in self._assigned(node, table):
                        yield from values.values if isinstance(values, ast.Dict) else ()
                    continue
                case _:
                    continue
            if self._scope[statement] in (self._scope[node], self._tree):
                yield value

    def _passed(self, function: ast.AST, name: str) -> Iterator[ast.expr]:
        """What calls in this module pass as the parameter ``name``."""
        if not isinstance(function, ast.FunctionDef):
            return
        parameters = [parameter.arg for parameter in function.args.args]
        for node in ast.walk(self._tree):
            match node:
                case ast.Call(func=ast.Name(id=called), args=args) if called == function.name:
                    yield from (value for parameter, value in zip(parameters, args, strict=False) if parameter == name)


def _said(name: str, call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that are sentences."""
    if name in TAKES_SENTENCE and call.args:
        yield call.args[0]
    if name in TAKES_MESSAGE:
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "message")
    if name == "warn" and len(call.args) == 4:  # Catalog.warn(document_id, page, code, message)
        yield call.args[3]


def _name(node: ast.AST) -> str:
    """A name for a field: the last word of the first name in its expression."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_")
    return next((_name(child) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.Constant)), "value")
