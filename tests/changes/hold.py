"""A toy: the verb `delivery hold`, as what goes behind lines that are there: file to line to what follows it."""

from __future__ import annotations

from collections.abc import Mapping

HOLD: Mapping[str, Mapping[str, str]] = {
    "model/verbs.py": {
        '    name: ClassVar[str] = "delivery_release"\n': '''

class Hold(OfDeliveries, frozen=True):
    """Keep queued deliveries from being sent until somebody lets them go."""

    name: ClassVar[str] = "delivery_hold"
''',
        "    Release: Sent,\n": "    Hold: str,\n",
    },
    "pipeline/window.py": {
        "        return self.count >= self._policy.memory_limit or self._bytes >= self._policy.memory_bytes\n": '''
    def hold(self, delivery: Delivery) -> bool:
        """Give away a delivery that nobody has begun to send, for a person to let go; whether it was here."""
        key = delivery.lane
        lane = self.lanes.get(key, deque())
        place = next((place for place, one in enumerate(lane) if one.id == delivery.id), None)
        if place is None or not (place or key in self.ready):
            return False
        for brought in self._brought:
            brought.discard(delivery.id)
        self.depth -= 1
        self.count -= 1
        self._bytes -= len(lane[place].body)
        del lane[place]
        if not lane:
            self.ready.remove(key)
            del self.lanes[key]
            if key in self._spilled:
                self._reload(key)
        return True
'''
    },
    "commands.py": {
        "from suture.store import again, state\n": "from suture.store import views\n",
        "            verbs.Release: self._release,\n": "            verbs.Hold: self._hold,\n",
        "    # -- the verbs -------------------------------------------------------------------------------------------------\n": """
    async def _hold(self, verb: verbs.Hold) -> Result:
        now_us = int(self._clock.seconds() * 1e6)
        found = await self._write("read", lambda c: again.deliveries_by_id(c, verb.ids, bodies=False))
        held = [delivery.id for delivery in found if self._given_away(delivery)]
        which = views.delivery.c.id.in_(held)
        await self._write("hold", lambda c: again.hold(c, which, "deliver", "BY_HAND", verb.reason, now_us))
        return f"held: {verbs.ranges(held) or 'none'}"

    def _given_away(self, delivery: Delivery) -> bool:
        channel = self._rooms.channels.get(delivery.channel)
        lanes = channel.lanes.get(delivery.destination) if channel is not None else None
        return lanes is not None and lanes.window.hold(delivery)
""",
    },
    "cli/delivery.py": {
        'def delivery() -> None:\n    """Deliveries: list, show, release."""\n': '''

@delivery.command()
@store_options
@click.argument("ids", type=ID, nargs=-1, required=True)
@reason_option
@wait_option
def hold(session: Session, ids: Sequence[int], reason: str, wait_s: float) -> int:
    """Keep queued deliveries from being sent until somebody lets them go."""
    from suture.model.verbs import Hold

    return report(session, session.control.ask_for(Hold(list(ids), reason), wait_s), "held")
'''
    },
}
