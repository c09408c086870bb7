"""What a channel makes of findings: enforced, a message is parked with the first place; reported, it goes on and says so."""

from typing import Any

from suture.conversation.hl7v2.conversation import NOT_HL7
from suture.conversation.hl7v2.verdict import of_past, of_settled
from suture.model import states
from suture.model.fault import Fault
from suture.model.finding import Finding, Location
from suture.model.message import Message
from suture.pipeline.process import process
from suture.pipeline.validation import Validation
from suture.ports import Past, Settled
from suture.wire.hl7v2.standard.profile import Profile, Rule
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text import er7
from tests.plans import Output, Plan

RAW = b"MSH|^~\\&|CAB|OR|X|Y|20260302101500||DFT^P03|C1|P|2.5.1\rEVN||20260302\rPID|1||MRN1||SAMPLE^ADA\rFT1|1|T1||20260302||CG||||two\r"
NO_VISIT = Profile("site", [Rule("PV1", required=True)])
LONG_AGO = Profile("site", [Rule("PV1", required=True, severity="W")])


def settled(raw: bytes = RAW, findings: Any = (), accept: frozenset[str] = frozenset(), **given: Any) -> Settled:
    plan = Plan("or", [Output("next")], accept, validation=Validation(**given) if given else None)
    message = Message("or", raw, 0, type="DFT^P03", id=7)
    work = process(plan, message, 0, findings=findings)
    assert work.ready is not None
    return work.ready


def standard() -> list[Finding]:
    return validate(RAW)


def test_without_validation_nothing_is_asked():
    assert settled().findings == ()
    assert settled().state == states.PROCESSED


def test_an_enforced_profile_parks_the_message_with_the_place():
    parked = settled(profile=NO_VISIT, enforce_profile=True)
    assert parked.fault is not None
    assert (parked.state, parked.fault.stage, parked.fault.place) == (states.PARKED, "validate", "PV1")
    assert parked.reason == "VALIDATION: PV1: the segment is required"
    assert parked.deliveries == ()
    assert [one.code for one in parked.findings] == [100]


def test_warnings_never_park_a_message():
    passed = settled(profile=LONG_AGO, enforce_profile=True)
    assert passed.state == states.PROCESSED
    assert len(passed.deliveries) == 1
    assert passed.reason == "validation: PV1: the segment is required"


def test_a_reported_profile_lets_the_message_go_on_and_says_so():
    passed = settled(profile=NO_VISIT)
    assert (passed.state, len(passed.deliveries), len(passed.findings)) == (states.PROCESSED, 1, 1)
    assert passed.reason.startswith("validation: ")


def test_findings_of_the_standard_park_only_where_it_is_enforced():
    assert [str(one.location) for one in standard()] == ["FT1-7", "FT1-10"]
    assert settled(findings=standard(), standard=Rules()).state == states.PROCESSED
    parked = settled(findings=standard(), standard=Rules(), enforce_standard=True, profile=LONG_AGO)
    assert parked.state == states.PARKED
    assert len(parked.findings) == 3


def test_errors_are_told_before_warnings_and_not_all_of_them():
    many = [Finding(104, "W", Location("PID", 1, 5), "long"), *(Finding(101, "E", Location("FT1", n, 7), "missing") for n in range(1, 9))]
    parked = settled(findings=many, standard=Rules(), enforce_standard=True)
    assert parked.fault is not None
    assert parked.fault.place == "FT1-7"
    assert parked.reason.startswith("VALIDATION: FT1-7: missing; FT1(2)-7: missing;")
    assert parked.reason.endswith("; and 4 more")


def test_a_message_that_is_not_accepted_is_filtered_and_not_judged():
    filtered = settled(accept=frozenset({"ADT^A01"}), profile=NO_VISIT, enforce_profile=True)
    assert (filtered.state, filtered.findings) == (states.FILTERED, ())


def test_what_cannot_be_read_is_parked_as_that():
    parked = settled(b"no message", profile=NO_VISIT, enforce_profile=True)
    assert parked.reason.startswith("NOT_HL7")


def test_the_standard_is_asked_for_messages_that_are_accepted():
    message = Message("or", RAW, 0, type="DFT^P03", id=7)
    asked = Plan("or", [], frozenset({"DFT^P03"}), validation=Validation(standard=Rules()))
    assert asked.asks_the_standard(message)
    other = RAW.replace(b"DFT^P03", b"ADT^A01")
    assert not asked.asks_the_standard(Message("or", other, 0, type="ADT^A01"))
    assert not asked.asks_the_standard(Message("or", b"", 0, type="DFT^P03", fault=NOT_HL7))
    assert not Plan("or", [], validation=Validation(profile=NO_VISIT)).asks_the_standard(message)
    assert not Plan("or", []).asks_the_standard(message)


def test_an_error_that_is_only_reported_is_a_warning_to_a_sender_that_hears_all_is_well():
    told = of_settled(settled(profile=NO_VISIT))
    assert told.fate == "accepted"
    assert [one.severity for one in told.findings] == ["W"]


def test_a_repetition_of_a_message_that_validation_parked_hears_what_was_wrong():
    parked = settled(profile=NO_VISIT, enforce_profile=True)
    assert parked.fault is not None
    told = of_past(Past(7, states.PARKED, [parked.fault]))
    assert (told.fate, told.reason, told.findings[0].code) == ("error", of_settled(parked).reason, 199)


def test_a_passed_message_asks_for_an_answer_where_its_delivery_waits_for_one():
    for modes, asked in ((b"NE|NE", "AL"), (b"ER|ER", "AL"), (b"NE|AL", "NE"), (b"AL|NE", "AL"), (b"|", "")):
        raw = RAW.replace(b"|2.5.1\r", b"|2.5.1|||" + modes + b"\r")
        work = process(Plan("or", [Output("mllp", answered=True), Output("http")]), Message("or", raw, 0, id=7), 0)
        assert work.ready is not None
        to_mllp, to_http = work.ready.deliveries
        assert er7.Message.parse(to_mllp.body).get("MSH-15") == asked
        assert to_http.body == raw


def test_a_repetition_of_a_fragment_that_was_parked_hears_why():
    told = of_past(Past(7, states.PARKED, [Fault("CONTINUATION_TIMEOUT", "map", "", "no fragment followed its DSC within 5 s")]))
    assert (told.reason, told.findings[0].code) == ("no fragment followed its DSC within 5 s", 100)


def test_the_text_of_the_answer_is_the_first_error_and_not_a_warning_before_it():
    findings = [Finding(199, "W", Location("FT1", 1, 34), "too many"), Finding(103, "E", Location("FT1", 1, 6), "not known")]
    told = of_settled(Settled(states.PARKED, "VALIDATION: x", (), (), (), (), findings=findings))
    assert told.reason == "FT1-6: not known"
