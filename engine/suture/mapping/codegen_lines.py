"""The whole of a mapping as one function: the values of the message, then its lines, each with its key and its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suture.mapping.codegen import Texts, local, within
from suture.mapping.conditions import Condition
from suture.mapping.functions import negate
from suture.mapping.keys import KEY_CHARACTERS_MAX, BusinessKey, Clue, findable
from suture.mapping.plan import Call, EmitPlan, Plan
from suture.mapping.rules import NEAREST
from suture.mapping.steps import ZERO
from suture.model.code import Code
from suture.model.events import DIGESTED, Event, digest_of, event_id
from suture.model.reading import Reader

Quick = Callable[..., bool]
"""quick(record, parts, mapped, found, slow, received): map a record into mapped and found (what it is found by). parts: of its
lines, as the reader has them. False: nothing is done, because a value of the whole record is wrong or in doubt. A line in which
anything is out of the ordinary is left to slow(record, line, mapped, found, whole, received), which returns its `whole` for the
next one."""


def quick_way(plan: Plan) -> tuple[Quick, Reader]:
    """The function that does what the plan says, and what reads for it."""
    return _Lines(plan).function()


class _Lines:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.code = Code("record, parts, mapped, found, slow, received", stop="return False")
        self.texts = Texts(self.code)

    def function(self) -> tuple[Quick, Reader]:
        plan, code, texts = self.plan, self.code, self.texts
        plan.whole.write(texts)
        self._clues(plan.search.whole)
        code.line("whole = None; line = 0; keys = mapped.keys; add = mapped.events.append")
        code.stop = "whole = slow(record, line, mapped, found, whole, received); continue"
        with code.block("for one in lines"):
            code.line("line += 1")
            with code.deferred() as unpack:
                self._line()
            unpack(f"{texts.read(own=True)}sure, = one")
            unpack(f"if not sure: {code.stop}")
        code.line("return True")
        reader = plan.reader(texts.paths)
        code.head(f"({texts.read(own=False)}sure,), lines = {code.const(reader.read)}(record, parts)")
        code.head("if not sure: return False")
        code.head(f"part = {code.const(reader.part)}")
        return code.function(), reader

    def _line(self) -> None:
        plan, code = self.plan, self.code
        plan.texts.write(self.texts)
        for skip in plan.skip:
            code.stop_if(self.texts.holds((skip,)))
        for emit in plan.emits:
            if emit.when:
                self._refuse(emit, emit.when)
        if all(emit.when for emit in plan.emits):
            code.stop_if(" and ".join(_reason(emit) for emit in plan.emits))
        self._key(plan.key)
        plan.shared.write(self.texts)
        for skip in plan.skip_bound:
            code.stop_if(self.texts.holds((skip,)))
        for emit in plan.emits:
            self._emit(emit)
        self._results()
        self._clues(plan.search.own)

    def _refuse(self, emit: EmitPlan, conditions: Sequence[Condition]) -> None:
        """The reason why the event is not raised, or None."""
        reasons = [f"{self.code.const(c.reason)} if not ({self.texts.holds((c,))}) else" for c in conditions]
        self.code.line(f"{_reason(emit)} = {' '.join(reasons)} None")

    def _key(self, key: BusinessKey) -> None:
        """The business key; where it is not made of plain texts, BusinessKey itself makes it."""
        code, parts = self.code, [local(slot) for slot in key.slots]
        made = f"key = {code.const(key.of)}(({''.join(f'{part}, ' for part in parts)}), record, part(record, line), line)"
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
        if _may_fail(emit):
            code.line(f"e{emit.index} = None")
        with code.block(f"if {_reason(emit)} is None", wanted=bool(emit.when)):
            emit.before.write(self.texts)
            if emit.bound:
                self._refuse(emit, emit.bound)
            with code.block(f"if {_reason(emit)} is None", wanted=bool(emit.bound)):
                emit.after.write(self.texts)
                self._event(emit)
        self.texts.sure.intersection_update(sure)

    def _event(self, emit: EmitPlan) -> None:
        code, fields = self.code, emit.assembly.fields
        code.line(f"data = {{{', '.join(f'{code.const(name)}: {local(slot)}' for name, slot in fields)}}}")
        for name, slot in fields:
            if slot not in self.texts.sure:
                code.line(f"if {local(slot)} is None: del data[{code.const(name)}]")
        for call in emit.assembly.calls:
            self._call(emit, call)
        number, type_ = f"(line - 1) * {len(self.plan.emits)} + {emit.index}", code.const(emit.type)
        id_ = f"{code.const(event_id)}({type_}, key)"
        code.line(f"e{emit.index} = {code.const(Event)}({type_}, {number}, line, key, data, 0, {id_}, {self._digest(emit)})")

    def _digest(self, emit: EmitPlan) -> str:
        """What the key stands for, by the first event of a line; None where it is to be made of the event's fields."""
        if emit.index or any(call.field in DIGESTED for call in emit.assembly.calls):
            return "None"
        names = {name: local(slot) for name, slot in emit.assembly.fields}
        asked = names.get("entered_quantity")
        if asked:
            for name in ("quantity", "unit"):
                names[name] = f"({names[name]} if {asked} is None else {names[f'entered_{name}']})"
        return f"{self.code.const(digest_of)}({', '.join(names.get(name, 'None') for name in DIGESTED)})"

    def _call(self, emit: EmitPlan, call: Call) -> None:
        """A field that a function makes of those before it."""
        code = self.code
        rows = ", ".join(f"{code.const(name)}: {local(slot)}" for name, slot in emit.assembly.bound)
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
        if all(_may_fail(emit) for emit in emits):
            code.stop_if(" and ".join(f"e{emit.index} is None" for emit in emits))
        for emit in emits:
            name = f"e{emit.index}"
            if not _may_fail(emit):
                code.line(f"add({name})")
                continue
            code.line(f"if {name} is not None: add({name})")
            code.line(f"else: mapped.suppressed.append((line, {code.const(emit.type)}, {_reason(emit)}))")
        code.line("keys[line] = key")

    def _clues(self, clues: Sequence[Clue]) -> None:
        code = self.code
        for clue in clues:
            code.line(f"text = {' or '.join(local(slot) for slot in clue.slots)}")
            code.line(f"if text: found[{code.const(clue.kind)}, {code.const(findable)}(text)] = None")


def _reason(emit: EmitPlan) -> str:
    return f"r{emit.index}"


def _may_fail(emit: EmitPlan) -> bool:
    """Are there lines that do not raise this event?"""
    return bool(emit.when or emit.bound)
