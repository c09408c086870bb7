"""The whole of a mapping as one function: the values of the message, then its lines, each with its key and its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suture.mapping.codegen import Texts, local, within
from suture.mapping.functions import negate
from suture.mapping.keys import KEY_CHARACTERS_MAX, BusinessKey, Clue, findable
from suture.mapping.plan import Call, EmitPlan, Plan
from suture.mapping.rules import NEAREST
from suture.mapping.sources import Condition
from suture.mapping.steps import ZERO, write_all
from suture.model.code import Code
from suture.model.events import DIGESTED, Event, digest_of, event_id
from suture.model.reading import Reader

Quick = Callable[..., bool]
"""quick(record, mapped, found, count, slow, received): map a record into mapped and found (what it is found by). count(parts,
mapped) notes how many lines there are. False: nothing else is done, because a value of the whole record is wrong or in doubt. A
line in which anything is out of the ordinary is left to slow(record, line, mapped, found, whole, received), which returns its
`whole` for the next one."""


def quick_way(plan: Plan) -> tuple[Quick, Reader]:
    """The function that does what the plan says, and what reads for it."""
    return _Lines(plan).function()


class _Lines:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.several = plan, len(plan.emits) > 1
        self.code = Code("record, mapped, found, count, slow, received", stop="return False")
        self.texts = Texts(self.code)

    def function(self) -> tuple[Quick, Reader]:
        plan, code, texts = self.plan, self.code, self.texts
        write_all(plan.whole, texts)
        self._clues(plan.search.whole)
        code.line("whole = None; line = 0; keys = mapped.keys; add = mapped.events.append")
        code.stop = "whole = slow(record, line, mapped, found, whole, received); continue"
        with code.block("for one in parts"):
            code.line("line += 1")
            with code.deferred() as read:
                self._line()
            if own := texts.read(own=True):
                read(f"{own}sure, = line_of(record, one, line)")
                read(f"if not sure: {code.stop}")
        code.line("return True")
        reader = plan.reader(texts.paths)
        code.head(f"({texts.read(own=False)}sure,), parts, line_of = {code.const(reader.read)}(record)")
        code.constants["part_of"] = reader.part
        code.head("count(parts, mapped)")
        code.head("if not sure: return False")
        return code.function(), reader

    def _line(self) -> None:
        plan, code = self.plan, self.code
        write_all(plan.texts, self.texts)
        for skip in plan.skip:
            code.stop_if(self.texts.holds((skip,)))
        for emit in plan.emits:
            if emit.when:
                self._refuse(emit, emit.when)
        if all(emit.when for emit in plan.emits) and self.several:
            code.stop_if(" and ".join(_reason(emit) for emit in plan.emits))
        self._key(plan.key)
        write_all(plan.shared, self.texts)
        for skip in plan.skip_bound:
            code.stop_if(self.texts.holds((skip,)))
        for emit in plan.emits:
            self._emit(emit)
        self._results()
        self._clues(plan.search.own)

    def _may_fail(self, emit: EmitPlan) -> bool:
        """Are there lines that get here without raising this event?"""
        return self.several and bool(emit.when or emit.bound)

    def _refuse(self, emit: EmitPlan, conditions: Sequence[Condition]) -> None:
        """The reason why the event is not raised, or None. The careful way says of a line what its only event is not raised for."""
        if not self.several:
            self.code.stop_if(f"not ({self.texts.holds(tuple(conditions))})")
            return
        reasons = [f"{self.code.const(c.reason)} if not ({self.texts.holds((c,))}) else" for c in conditions]
        self.code.line(f"{_reason(emit)} = {' '.join(reasons)} None")

    def _key(self, key: BusinessKey) -> None:
        """The business key; where it is not made of plain texts, BusinessKey itself makes it."""
        code, parts = self.code, [local(slot) for slot in key.slots]
        made = f"key = {code.const(key.of)}(({''.join(f'{part}, ' for part in parts)}), record, part_of(record, line), line)"
        if key.telling is None:
            code.line(made)
            return
        shown = [*parts, "line"] if key.numbered else parts
        code.line(f'key = f"{{{code.const(key.prefix + "|")}}}{"|".join(f"{{{part}}}" for part in shown)}"')
        backslash, null = code.const("\\"), code.const("\x00")
        odd = f'key.count("|") != {len(shown)} or {backslash} in key or {null} in key or len(key) > {KEY_CHARACTERS_MAX}'
        with code.block(f"if not ({' and '.join(parts)} and key.isascii()) or {odd}"):
            code.line(made)

    def _emit(self, emit: EmitPlan) -> None:
        code, sure = self.code, set(self.texts.sure)
        if self._may_fail(emit):
            code.line(f"e{emit.index} = None")
        with code.block(f"if {_reason(emit)} is None", wanted=self.several and bool(emit.when)):
            write_all(emit.before, self.texts)
            if emit.bound:
                self._refuse(emit, emit.bound)
            with code.block(f"if {_reason(emit)} is None", wanted=self.several and bool(emit.bound)):
                write_all(emit.after, self.texts)
                self._event(emit)
        self.texts.sure.intersection_update(sure)

    def _event(self, emit: EmitPlan) -> None:
        code, fields = self.code, emit.fields.items()
        code.line(f"data = {{{', '.join(f'{code.const(name)}: {local(slot)}' for name, slot in fields)}}}")
        for name, slot in fields:
            if slot not in self.texts.sure:
                code.line(f"if {local(slot)} is None: del data[{code.const(name)}]")
        for call in emit.calls:
            self._call(emit, call)
        several = f" * {len(self.plan.emits)} + {emit.index}" if self.several else ""
        number, type_ = f"(line - 1){several}", code.const(emit.type)
        id_ = f"{code.const(event_id)}({type_}, key)"
        code.line(f"e{emit.index} = {code.const(Event)}({type_}, {number}, line, key, data, 0, {id_}, {self._digest(emit)})")

    def _digest(self, emit: EmitPlan) -> str:
        """What the key stands for, by the first event of a line; None where it is to be made of the event's fields."""
        if emit.index or any(call.field in DIGESTED for call in emit.calls):
            return "None"
        names = {name: local(slot) for name, slot in emit.fields.items()}
        asked = names.get("entered_quantity")
        if asked:
            for name in ("quantity", "unit"):
                names[name] = f"({names[name]} if {asked} is None else {names[f'entered_{name}']})"
        return f"{self.code.const(digest_of)}({', '.join(names.get(name, 'None') for name in DIGESTED)})"

    def _call(self, emit: EmitPlan, call: Call) -> None:
        """A field that a function makes of those before it."""
        code = self.code
        rows = ", ".join(f"{code.const(name)}: {local(slot)}" for name, slot in emit.rows.items())
        code.line(f"value = {code.const(call.function)}(data, {{{rows}}})")
        if call.required:
            code.stop_if("value is None")
        with code.block("if value is not None"):
            if call.cent is not None:
                code.line(f"value = {code.const(NEAREST.quantize)}(value, {code.const(call.cent)})")
                code.stop_if("not value")
            if call.limit is not None:
                code.stop_if(f"not {within(code, call.limit, 'value')}")
            if call.credit:
                credit = f"({self.texts.holds(call.credit)}) and value > {code.const(ZERO)}"
                code.line(f"if {credit}: value = {code.const(negate)}(value)")
            code.line(f"data[{code.const(call.field)}] = value")

    def _results(self) -> None:
        """Note the events, now that nothing can go wrong any more."""
        code, emits = self.code, self.plan.emits
        if all(self._may_fail(emit) for emit in emits):
            code.stop_if(" and ".join(f"e{emit.index} is None" for emit in emits))
        for emit in emits:
            name = f"e{emit.index}"
            if not self._may_fail(emit):
                code.line(f"add({name})")
                continue
            code.line(f"if {name} is not None: add({name})")
            code.line(f"else: mapped.suppressed.append((line, {code.const(emit.type)}, {_reason(emit)}))")
        code.line("keys[line] = key")

    def _clues(self, clues: Sequence[Clue]) -> None:
        code = self.code
        for clue in clues:
            text = " or ".join(local(slot) for slot in clue.slots)
            if len(clue.slots) > 1:
                code.line(f"text = {text}")
                text = "text"
            code.line(f"if {text}: found[{code.const(clue.kind)}, {code.const(findable)}({text})] = None")


def _reason(emit: EmitPlan) -> str:
    return f"r{emit.index}"
