"""A small site in a directory of its own, for tests to spoil."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FILES = {
    "conf/base.yaml": """\
site: {name: Test, zone: America/Chicago}
http: {port: 0}
endpoints:
  erp: {http_out: {url: "http://127.0.0.1:9/erp"}}
  billing: {mllp_out: {host: 127.0.0.1, port: 9}}
""",
    "channels/or-supply/channel.yaml": """\
channel: or-supply
source: {mllp_in: {port: 2575}}
accept: [DFT^P03]
business_key: [MSH-3.1, FT1-2]
map: supply
stock: true
destinations:
  erp: {to: erp, events: ["supply.*", "replenishment.*"], as: events, per: event}
  billing: {to: billing, events: ["charge.*"], as: charge}
""",
    "channels/or-supply/tests.yaml": """\
- name: an implant raises a charge
  message: samples/implant.hl7
  expect:
    - charge.raised: {charge_code: "27000123", quantity: 2}
""",
    "channels/or-supply/samples/implant.hl7": "MSH|^~\\&|CAB|OR|X|Y|20260302101500||DFT^P03|C1|P|2.5.1\rPID|1||MRN1\r"
    "FT1|1|T1||20260302101500||CG|IMP-1|||2\rFT1|2|T2||20260302101500||PY|IMP-1|||1\r",
    "channels/or-supply/samples/unknown.hl7": "MSH|^~\\&|CAB|OR|X|Y|20260302101500||DFT^P03|C2|P|2.5.1\rPID|1||MRN1\r"
    "FT1|1|T3||20260302101500||CG|ZZ-999|||1\r",
    "channels/or-supply/samples/adt.hl7": "MSH|^~\\&|CAB|OR|X|Y|20260302101500||ADT^A01|C3|P|2.5.1\rPID|1||MRN1\r",
    "channels/or-supply/samples/garbage.hl7": "no message at all",
    "mappings/supply.yaml": """\
mapping: supply
from: hl7v2
each: FT1
skip: {FT1-6.1: [PY]}
emit:
  - event: supply.used
    set:
      item: {from: FT1-7.1, table: item_master, required: true}
      quantity: {from: FT1-10, as: decimal, default: "1"}
      location: {const: OR}
      used_at: {from: FT1-4.1, as: time}
      unit: item.stock_unit
  - event: charge.raised
    when: {item.chargeable: Y}
    set:
      item: {from: FT1-7.1, table: item_master, required: true}
      quantity: {from: FT1-10, as: decimal, default: "1"}
      charge_code: item.charge_code
""",
    "mappings/charge.yaml": """\
mapping: charge
to: hl7v2
segments:
  - MSH: {3: {const: SUTURE}, 9: {const: DFT^P03^DFT_P03}, 11: {const: P}, 12: {const: "2.5.1"}}
  - FT1: {each: event, 1: event.position, 7: charge_code, 10: {from: quantity, call: absolute}}
""",
    "mappings/tables/item_master.csv": "item,description,chargeable,charge_code,stock_unit\nIMP-1,Hip stem,Y,27000123,EA\n",
    "mappings/tables/stock.csv": "location,item,on_hand,reorder_point,par_level,unit\nOR,IMP-1,6,4,10,EA\n",
}


class SiteFiles:
    """The directory of a site, and the means to change its files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str | bytes) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def replace(self, name: str, changes: Mapping[str, str]) -> None:
        text = (self.directory / name).read_bytes().decode()
        for old, new in changes.items():
            assert old in text, old
            text = text.replace(old, new)
        self.write(name, text)

    def remove(self, name: str) -> None:
        (self.directory / name).unlink()
