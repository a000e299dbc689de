"""A whole profile: forms to rules, and the decision on one operation."""

import copy
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from seatbelt import filters, operations
from seatbelt.questions import Mac, Target, question
from seatbelt.reader import Form, ProfileError, Regex, Symbol, read

_MODIFIERS = {"no-log", "no-report", "report", "message", "telemetry"}
_ONLY_ALLOW, _ONLY_DENY = {"report"}, {"no-log", "no-report", "message"}


class Rule(NamedTuple):
    """One `allow` or `deny`: any of `filters` is enough, and without one it is about everything."""

    action: str
    operations: tuple[str, ...]
    filters: tuple[filters.Filter, ...]
    form: Form
    texts: tuple[str, ...] = ()

    def is_about(self, operation: str, target: Target, *, wide: bool) -> bool:
        if not any(operations.covers(named, operation, wide=wide) for named in self.operations):
            return False
        return not self.filters or any(one(target) for one in self.filters)


class Decision(NamedTuple):
    """`action` is "allow", "deny", or "doubtful" where sources disagree; `rule` decided, None for the default."""

    action: str
    rule: Rule | None
    operation: str
    target: Target


class Profile:
    """Reads a profile, once; `parameters` are those of `-D`. Raises ProfileError."""

    def __init__(self, text: str | bytes, parameters: Mapping[str, str] | None = None) -> None:
        self.text = os.fsencode(text) if isinstance(text, str) else text
        self.forms = read(self.text)
        self.rules: list[Rule] = []
        self.default: str | None = None
        self._parameters = dict(parameters or {})
        self._defined: dict[str, object] = {}
        for number, form in enumerate(self.forms):
            try:
                self._take(number, form)
            except ProfileError as error:
                raise type(error)(f"line {form.line}: {error}") from None
        if self.default is None:
            raise ProfileError("nothing says what holds where no rule does: (deny default)")

    def decide(self, operation: str, target: Target) -> Decision:
        """What the kernel answers: the last rule that is about it.

        Sources differ on whether a rule without filters gives way to earlier ones with some, and on what some
        operations include: all readings are asked.
        """
        found = {}
        for wide in (False, True):
            rules = [rule for rule in self.rules if rule.is_about(operation, target, wide=wide)]
            for last in (rules[-1:], [rule for rule in rules if rule.filters][-1:] or rules[-1:]):
                rule = last[0] if last else None
                found.setdefault(rule.action if rule else self.default, rule)
        if len(found) > 1:
            return Decision("doubtful", found.get("allow"), operation, target)
        ((action, rule),) = found.items()
        return Decision(action, rule, operation, target)

    def answer(self, text: str, mac: Mac | None = None) -> Decision:
        """The answer to a question as tables have it: allowed where all that the kernel asks for it is."""
        decisions = [self.decide(*asked) for asked in question(text, mac or Mac())]
        return next((found for found in decisions if found.action != "allow"), decisions[-1])

    def without(self, form: Form) -> "Profile":
        """The profile as if one form had not been written."""
        return Profile(self.text[: form.start] + self.text[form.end :], self._parameters)

    def concerned(self, text: str, mac: Mac) -> set[int]:
        """The numbers of the rules that are about what is asked, whether they decide or not."""
        return {
            number
            for asked in question(text, mac)
            for number, rule in enumerate(self.rules)
            if rule.is_about(*asked, wide=True)
        }

    def variants(self) -> Iterator[tuple[int, str, "Profile"]]:
        """The profile without one rule, one filter of a rule, one operation of a rule: all of them, each with the
        rule's number and what is missing."""
        for number, rule in enumerate(self.rules):
            name = f"({rule.action} {' '.join(rule.operations)})"
            yield number, f"{name} of {' '.join(rule.texts) or 'everything'}", self._with(number)
            if len(rule.filters) > 1:
                for at, text in enumerate(rule.texts):
                    filters_left = (*rule.filters[:at], *rule.filters[at + 1 :])
                    yield number, f"{name}, of which {text}", self._with(number, rule._replace(filters=filters_left))
            if len(rule.operations) > 1:
                for at, operation in enumerate(rule.operations):
                    left = (*rule.operations[:at], *rule.operations[at + 1 :])
                    yield number, f"{name}, of which {operation}", self._with(number, rule._replace(operations=left))

    def _with(self, number: int, *rules: Rule) -> "Profile":
        changed = copy.copy(self)
        changed.rules = [*self.rules[:number], *rules, *self.rules[number + 1 :]]
        return changed

    def _take(self, number: int, form: Form) -> None:
        name, *rest = form.value or ("",)
        if (name == "version") != (number == 0):
            raise ProfileError("(version 1) is the first form, and the only one of its kind")
        if name == "version":
            if rest not in ([1], [2], [3]):
                raise ProfileError(f"no version {rest}")
        elif name == "define":
            if len(rest) != 2 or not isinstance(rest[0], Symbol) or rest[0] in self._defined:
                raise ProfileError("define wants a name that is new, and a value")
            self._defined[rest[0]] = self._value(rest[1])
        elif name in ("allow", "deny"):
            self._take_rule(name, rest, form)
        elif name == "import":
            raise ProfileError("import brings in rules that nobody here can see")
        else:
            raise ProfileError(f"({name}) is no form of a profile that is understood here")

    def _take_rule(self, action: str, rest: list, form: Form) -> None:
        named = [operations.check(word) for word in rest if isinstance(word, Symbol)]
        parts = [word for word in rest if not isinstance(word, Symbol)]
        modifiers = [part for part in parts if isinstance(part, tuple) and part[:1] == ("with",)]
        self._check_modifiers(action, modifiers)
        wanted = [part for part in parts if part not in modifiers]
        if not named:
            raise ProfileError(f"({action}) of no operation")
        if "default" in named:
            if named != ["default"] or wanted or self.default is not None or self.rules:
                raise ProfileError(f"({action} default) stands alone, once, and before all other rules")
            self.default = action
            return
        kinds = {operations.kind(name) for name in named}
        made = tuple(filters.compiled(part, kinds, self._value) for part in wanted)
        self.rules.append(Rule(action, tuple(named), made, form, tuple(map(written, wanted))))

    def _check_modifiers(self, action: str, modifiers: list[tuple]) -> None:
        for modifier in modifiers:
            name = modifier[1] if len(modifier) > 1 else ""
            if name not in _MODIFIERS:
                raise ProfileError(f"no modifier {name!r} that is safe in a profile of actions")
            if name in (_ONLY_DENY if action == "allow" else _ONLY_ALLOW):
                raise ProfileError(f"the modifier {name} does not apply to {action}")

    def _value(self, expression: object) -> object:
        """A string, out of what may stand for one."""
        if isinstance(expression, Symbol):
            if expression not in self._defined:
                raise ProfileError(f"unbound variable: {expression}")
            return self._defined[expression]
        if not isinstance(expression, tuple):
            return expression
        name, *rest = expression or ("",)
        if name == "string-append":
            values = [self._value(part) for part in rest]
            if not all(isinstance(value, str) and not isinstance(value, Regex) for value in values):
                raise ProfileError(f"string-append of {values}")
            return "".join(map(str, values))
        if name == "param" and len(rest) == 1 and isinstance(rest[0], str):
            if rest[0] not in self._parameters:
                raise ProfileError(f'the parameter "{rest[0]}" is not given')
            return self._parameters[rest[0]]
        raise ProfileError(f"{written(expression)} is no value that is understood here")


def written(value: object) -> str:
    """A value as text, for messages and for comparing rules."""
    if isinstance(value, tuple):
        return f"({' '.join(map(written, value))})"
    return str(value) if isinstance(value, Symbol | int) else repr(str(value))
