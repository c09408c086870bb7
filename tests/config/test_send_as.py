"""`send_as`: the character set of an endpoint is checked, and reaches the plan; where it has no meaning, that is said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from suture.config.plan import plan_of
from suture.config.site import load_site
from suture.connectors import http_out, mllp_out
from suture.model.errors import ConfigError
from suture.model.payload import Payload
from tests.config.site_files import SiteFiles

CHANNEL = "channels/or-supply/channel.yaml"


def said(site: SiteFiles) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_site(site.directory, None, {})
    return [str(problem) for problem in error.value.problems]


def test_the_set_and_what_is_done_with_what_does_not_fit_reach_the_plan(site: SiteFiles) -> None:
    site.replace("conf/base.yaml", {"port: 9}}": "port: 9, send_as: 8859/1, send_as_unfit: replace}}"})
    erp, billing = plan_of(load_site(site.directory, None, {}).channels["or-supply"]).outputs
    assert erp.written is None
    body = b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|1|P|2.5.1||||||UNICODE UTF-8\rNTE|1||\xc3\xa9\xe4\xb8\xad\r"
    made = Payload(body, "application/hl7-v2")
    assert billing.written(made).body == body.replace(b"UNICODE UTF-8", b"8859/1").replace(b"\xc3\xa9\xe4\xb8\xad", b"\xe9?")


@pytest.mark.parametrize("module", [mllp_out, http_out])
def test_both_destinations_of_hl7_have_it(module) -> None:
    where = {"host": "h", "port": 1} if module is mllp_out else {"url": "http://h/"}
    assert module.Config(**where, send_as="utf-8").send_as_unfit == "refuse"
    with pytest.raises(ValidationError, match="'UTF-16' is no character set to send in; write ASCII, 8859/1, UTF-8 or another"):
        module.Config(**where, send_as="UTF-16")
    with pytest.raises(ValidationError, match="send_as_unfit has no meaning without send_as"):
        module.Config(**where, send_as_unfit="escape")


def test_a_set_that_is_none_is_told_with_its_line(site: SiteFiles) -> None:
    site.replace("conf/base.yaml", {"port: 9}}": "port: 9, send_as: 8859/12}}"})
    (problem,) = said(site)
    assert problem.startswith("conf/base.yaml:5: endpoints.billing.mllp_out.send_as: '8859/12' is no character set to send in")


def test_json_and_acknowledgements_have_no_set_to_choose(site: SiteFiles) -> None:
    site.replace("conf/base.yaml", {'9/erp"}}': '9/erp", send_as: ASCII}}'})
    (problem,) = said(site)
    assert problem.startswith(f"{CHANNEL}:8: destinations.erp.as: events is JSON, which is always UTF-8; the endpoint erp has `send_as`")
    site.replace(CHANNEL, {", as: events, per: event}": ", as: charge, per: event}"})
    assert plan_of(load_site(site.directory, None, {}).channels["or-supply"]).outputs[0].written is not None
    site.replace(
        CHANNEL, {'{to: erp, events: ["supply.*", "replenishment.*"], as: charge, per: event}': "{to: erp, acknowledgement: true}"}
    )
    site.replace(CHANNEL, {"stock: true": "hl7v2: {answer: {application: erp}}"})
    assert (
        f"{CHANNEL}:8: destinations.erp.acknowledgement: acknowledgements are in the sender's character set; erp has `send_as`"
        in said(site)[0]
    )
