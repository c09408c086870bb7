"""What is measured: the sites, their messages and what stands in for the systems behind them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
SITES = HERE / "sites"
HOST = "127.0.0.1"
LISTENER = 2575
"""Where the sites of bench/sites listen for MLLP."""
BESIDE = 10
"""So much higher are the ports of an engine that runs beside another."""


@dataclass(frozen=True)
class Workload:
    """One site with its load and its sink. port: where the site delivers to; listener: where it listens for MLLP."""

    name: str
    title: str
    sink: Literal["http", "mllp"]
    port: int
    message: str
    site: Path
    listener: int = LISTENER

    def beside(self, directory: Path) -> Workload:
        """The same on other ports, its site copied to a directory that does not exist: for an engine beside one that runs."""
        other = replace(self, site=directory, port=self.port + BESIDE, listener=self.listener + BESIDE)
        shutil.copytree(self.site, directory)
        for file in directory.rglob("*.yaml"):
            text = file.read_text().replace(str(self.listener), str(other.listener)).replace(str(self.port), str(other.port))
            file.write_text(text)
        return other

    @property
    def message_file(self) -> Path:
        """The file that the messages are made from."""
        return HERE / "messages" / self.message


WORKLOADS = {
    "w1": Workload("w1", "DFT^P03 with 3 FT1 to enriched charge events, one POST a message", "http", 9100, "dft_p03.hl7", SITES / "w1"),
    "w2": Workload("w2", "ADT^A01 passed on over MLLP with two fields changed", "mllp", 9101, "adt_a01.hl7", SITES / "w2"),
}
