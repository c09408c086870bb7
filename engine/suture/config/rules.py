"""What a channel's file and the conf say of values, as the mappings take it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from suture.config.channel import SENDER, SITE, Channel
from suture.config.conf import Conf
from suture.mapping.rules import Bounds, Money, Rules


def rules_of(conf: Conf | None, channel: Channel | None = None) -> Rules:
    """The rules of a channel; those of any, where its file or the conf is wrong and is only looked at for more problems."""
    zone, money = (conf.zone, Money(conf.site.money_decimals)) if conf else (ZoneInfo("UTC"), Money())
    if channel is None:
        return Rules(zone, money=money)
    given = channel.bounds
    return Rules(
        zone=zone,
        times=None if channel.zone in (SITE, SENDER) else ZoneInfo(channel.zone),
        by_sender=channel.zone == SENDER,
        bounds=Bounds(given.quantity, given.amount, given.past_d, given.future_d),
        money=money,
    )
