"""A partner's own words: what there is to read in an answer, on one short line, without what is no text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.connectors.net import words

MSH = b"MSH|^~\\&|P|P|S|S|20260301||ACK|1|P|2.5.1"


def acknowledged(*lines: bytes, msh: bytes = MSH) -> bytes:
    return b"".join(line + b"\r" for line in (msh, *lines))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (acknowledged(b"MSA|AE|1|account closed"), "account closed"),
        (acknowledged(b"MSA|AE|1", b"ERR||PID^1^3|204^Unknown key^HL70357|E|||cache miss|No such account"), "No such account; cache miss"),
        (acknowledged(b"MSA|AE|1|refused", b"ERR|||207|E||||first", b"ERR|||207|E||||second"), "first; second; refused"),
        (acknowledged(b"MSA|AE|1|refused", b"ERR|||207|E|A17^Period is closed^L"), "refused; A17 Period is closed"),
        (acknowledged(b"MSA|AE|1", b"ERR|||X7^Site is locked^L|E"), "X7 Site is locked"),
        (
            acknowledged(b"MSA|AE|1", b"ERR|PID^1^11^103&Table value not found&HL70357~PV1^1^2^101&Field"),
            "103 Table value not found; 101 Field",
        ),
        (acknowledged(b"MSA|AE|1||||207^Application error^HL70357"), "207 Application error"),
        (acknowledged(b"MSA|AE|1|no \\T\\ nothing \\.br\\here"), "no & nothing here"),
        (acknowledged(b"MSA|AE|1|same", b"ERR|||207|E||||same as before"), "same as before"),
        (acknowledged(b"MSA|AE|1|compte cl\xc3\xb4tur\xc3\xa9"), "compte clôturé"),
        (acknowledged(b"MSA|AE|1|compte cl\xf4tur\xe9"), "compte clôturé"),
        (acknowledged(b"MSA|AE|1|compte cl\xf4tur\xe9", msh=MSH + b"||||||8859/1"), "compte clôturé"),
        (acknowledged(b"MSA|AE|1|a\x00b\x07c\x1bd \xe2\x80\xaee"), "a b c d e"),
        (acknowledged(b"MSA|AA|1"), ""),
        (acknowledged(b"MSA|AE|1|x").decode().encode("utf-16"), "x"),
        (b"NACK: no such account\r\nsee the manual", "NACK: no such account"),
        (b"", ""),
        (b"\x00\xff", "�"),
    ],
)
def test_what_an_acknowledgement_says(answer: bytes, said: str) -> None:
    assert words.of_hl7(answer) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "item is blocked"}', "item is blocked"),
        (b'{"message": "item is blocked", "code": 17}', "item is blocked"),
        (
            b'{"type": "about:blank", "title": "Unprocessable", "status": 422, "detail": "item 7 is blocked"}',
            "item 7 is blocked; Unprocessable",
        ),
        (b'{"error": {"code": "X/1", "message": {"lang": "en", "value": "Stock period is closed"}}}', "Stock period is closed"),
        (b'{"errors": ["too late", {"message": "no stock"}]}', "too late; no stock"),
        (b'{"detail": [{"loc": ["body", "quantity"], "msg": "not a number"}]}', "not a number"),
        (
            b'{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": "code is unknown"},'
            b' {"details": {"text": "no account"}}]}',
            "code is unknown; no account",
        ),
        (b'\xef\xbb\xbf {"message": "a\\u0000b\\ud800c"}', "a b c"),
        (b"<html><head><title>502 Bad Gateway</title></head><body><h1>no &amp; none</h1>", "502 Bad Gateway; no & none"),
        (b"<s:Fault><faultcode>x</faultcode><faultstring xml:lang='en'>no stock</faultstring></s:Fault>", "no stock"),
        (b'<OperationOutcome><issue><diagnostics value="no account"/></issue></OperationOutcome>', "no account"),
        (b"\r\n  item is blocked  \nmore", "item is blocked"),
        (b"{broken", "{broken"),
        (b"17", "17"),
        (b'{"a": 1}', ""),
        (b"[]", ""),
        (b"", ""),
        (b"[" * 60_000, "[" * (words.LIMIT - 1) + "…"),
    ],
)
def test_what_a_body_says(body: bytes, said: str) -> None:
    assert words.of_http(body) == said


@pytest.mark.parametrize("length", [words.LIMIT - 1, words.LIMIT, words.LIMIT + 1, 1_000_000])
def test_no_more_than_the_limit_is_said(length: int) -> None:
    text = "x" * length
    cut = text if length <= words.LIMIT else "x" * (words.LIMIT - 1) + "…"
    assert words.clean(text) == cut
    assert words.of_hl7(acknowledged(b"MSA|AE|1|" + text.encode())) == cut
    assert words.of_http(text.encode()) == cut


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda tail: acknowledged(b"MSA|AE|1|" + tail, b"ERR||" + tail))))
def test_whatever_comes_it_is_a_line_of_text(answer: bytes) -> None:
    for said in (words.of_hl7(answer), words.of_http(answer), words.of_http(b"{" + answer), words.of_http(b"<a>" + answer)):
        assert len(said) <= words.LIMIT
        assert not said or said.isprintable()
        said.encode()
