"""What is measured: the sites, their messages and what stands in for the systems behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
LISTENER = 2575
"""Where the sites of bench/sites listen for MLLP."""


@dataclass(frozen=True)
class Workload:
    """One site with its load and its sink. port: where the site delivers to."""

    name: str
    title: str
    sink: Literal["http", "mllp"]
    port: int
    message: str

    @property
    def site(self) -> Path:
        """The directory of the site."""
        return HERE / "sites" / self.name

    @property
    def message_file(self) -> Path:
        """The file that the messages are made from."""
        return HERE / "messages" / self.message


WORKLOADS = {
    "w1": Workload("w1", "DFT^P03 with 3 FT1 to enriched charge events, one POST a message", "http", 9100, "dft_p03.hl7"),
    "w2": Workload("w2", "ADT^A01 passed on over MLLP with two fields changed", "mllp", 9101, "adt_a01.hl7"),
}
