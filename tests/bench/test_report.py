"""What the benchmark prints, what it takes for an option, and where it reads CPU and memory."""

import os
import socket

import pytest

from bench import engine, main, options, proc, report
from bench.checkout import Checkout
from bench.child import BenchError
from bench.databases import filesystem
from bench.engine import require_free
from bench.workloads import WORKLOADS

BLOCK = {
    "first": 0,
    "count": 10_000,
    "cpu_ms_per_message": 0.5,
    "delivered_per_s": 2000.0,
    "ack_ms": {"p50": 1.0, "p99": 2.0},
    "rss_mb": 90.1,
    "codes": {"AA": 10_000},
    "lost": 0,
    "duplicated": 0,
    "disordered": 0,
}
TURNS = {"median": 1.02, "min": 0.98, "max": 1.07}
LOAD = {
    **BLOCK,
    "kind": "load",
    "engine": "suture",
    "workload": "w1",
    "database": "sqlite",
    "connections": 64,
    "accepted_per_s": 2468.9,
    "database_cpu_ms_per_message": None,
    "rss_mb": {"before": 80.2, "after": 99.7},
    "disk_bytes_per_message": 1203,
}


def test_a_table_lays_out_words_to_the_left_and_figures_to_the_right():
    assert report.table(["name", "n"], [["a", "1,000"], ["longer", "2"]], left=1) == (
        "name        n\n------  -----\na       1,000\nlonger      2"
    )


def test_the_main_table_has_a_line_a_run():
    heads, _, line = report.load_table([LOAD]).splitlines()
    assert heads.split()[:4] == ["engine", "load", "database", "senders"]
    assert line.split() == [
        "suture",
        "w1",
        "sqlite",
        "64",
        "2,469",
        "2,000",
        "1.00",
        "2.00",
        "0.500",
        "-",
        "80",
        ">",
        "100",
        "1,203",
        "0",
        "0",
        "0",
    ]


def test_everything_that_was_measured_is_printed():
    growth = {**LOAD, "kind": "growth", "count": 10_000, "blocks": [BLOCK]}
    growth |= {name: {"last_over_first": 1.04, "last_fifth_over_first_fifth": None} for name in ("cpu_ms_per_message", "delivered_per_s")}
    growth |= {"pairs": [{"new": BLOCK, "old": BLOCK}], "old_over_new": dict.fromkeys(report.GROWING, TURNS)}
    down = {**LOAD, "kind": "sink down", "rss_growth_mb": 7.25, "drain_s": 3.0}
    down["rss_mb"] = {"before": 80.0, "down": 86.0, "down_peak": 87.25, "after": 88.0}
    ratios = {"delivered_per_s": 0.61, "ack_p50_ms": 1.5, "ack_p99_ms": 2.5, "cpu_ms_per_message": None}
    comparison = {"workload": "w1", "database": "sqlite", "connections": 8, "ratios": ratios}
    beside = {**LOAD, "kind": "against", "launches": 8, "turns": 6, "this_over_other": dict.fromkeys(report.GROWING, TURNS)}
    text = main.text({"runs": [LOAD, growth, down, beside], "comparisons": [comparison]})
    assert "0.61" in text
    assert "CPU a message, last block over first: 1.04 (median of the last fifth over the first fifth: -)" in text
    assert "CPU a message, one more block over the first of a new engine on an empty store, 1 pair in turn: 1.02 (0.98 to 1.07)" in text
    assert "growth 7.2 MB" in text
    assert "delivered/s, this checkout over the other, 8 launches of both, 6 turns each: 1.020 (0.980 to 1.070)" in text


class TestAResult:
    def test_is_good_when_nothing_went_wrong(self):
        assert report.good(LOAD)

    @pytest.mark.parametrize("fault", ["lost", "duplicated", "disordered", "errors", "mismatched", "nameless"])
    def test_is_not_good_with_a_fault_even_in_one_block(self, fault):
        assert not report.good(LOAD | {fault: 1})
        assert not report.good(LOAD | {"blocks": [BLOCK, BLOCK | {fault: 1}]})
        assert not report.good(LOAD | {"pairs": [{"new": BLOCK, "old": BLOCK | {fault: 1}}]})

    def test_is_not_good_when_a_message_was_refused(self):
        assert not report.good(LOAD | {"codes": {"AA": 9_999, "AE": 1}})


class TestOptions:
    def test_are_both_workloads_both_databases_and_8_and_64_senders(self):
        chosen = options.parse([])
        assert (chosen.workload, chosen.database, chosen.connections) == (("w1", "w2"), ("sqlite", "postgresql"), (8, 64))
        assert [case.facts() for case in main.cases(chosen)][1] == {"workload": "w1", "database": "sqlite", "connections": 64}
        assert len(main.cases(chosen)) == 8

    def test_give_a_long_run_one_case_unless_more_are_named(self):
        assert len(main.cases(options.parse(["--growth"]))) == 1
        assert len(main.cases(options.parse(["--sink-down", "500", "--workload", "w1", "w2"]))) == 2

    def test_another_checkout_is_measured_in_small_blocks(self, tmp_path):
        assert options.parse(["--against", str(tmp_path)]).count == 2_000

    def test_another_checkout_has_to_be_one_with_the_sites_that_are_asked_for(self, tmp_path):
        chosen = options.parse(["--against", str(tmp_path), "--workload", "w1"])
        with pytest.raises(BenchError, match="is no checkout of Suture"):
            main._other(chosen)
        (tmp_path / "engine/suture").mkdir(parents=True)
        with pytest.raises(BenchError, match="has no site for w1: there is no bench/sites/w1"):
            main._other(chosen)
        (tmp_path / "bench/sites/w1").mkdir(parents=True)
        assert main._other(chosen) == Checkout(tmp_path)

    def test_give_way_to_what_is_named_when_quick(self):
        chosen = options.parse(["--quick", "--count", "77"])
        assert (chosen.count, chosen.warm, chosen.connections) == (77, 500, (8,))

    @pytest.mark.parametrize("wrong", [["--count", "0"], ["--count", "x"], ["--growth", "5", "--sink-down", "5"], ["--workload", "w3"]])
    def test_that_are_wrong_end_with_exit_code_2(self, wrong, capsys):
        with pytest.raises(SystemExit) as end:
            options.parse(wrong)
        assert end.value.code == 2
        assert "usage:" in capsys.readouterr().err


class TestProc:
    def test_reads_a_command_with_blanks_and_brackets(self):
        fields = " ".join(["S", "7", *["0"] * 9, "150", "50", *["0"] * 8, "1000", "0"])
        assert proc.parse_stat(f"42 (a) b (c) {fields}", ticks=100, page=4096) == proc.Stat(parent=7, cpu_s=2.0, rss_mb=4.096)

    def test_finds_children_and_their_children(self):
        assert sorted(proc.descendants(1, {1: 0, 2: 1, 3: 2, 4: 9, 9: 0})) == [1, 2, 3]

    def test_knows_this_process(self):
        assert proc.parent_of(os.getpid()) == os.getppid()
        assert proc.usage(os.getpid()).rss_mb >= proc.rss_mb(os.getpid()) * 0.5 > 0

    def test_sees_nothing_of_a_process_that_ended(self):
        assert proc.rss_mb(2**22 + 1) == 0
        assert proc.usage(2**22 + 1) == proc.Usage(0, 0)


def test_the_file_system_of_a_directory_has_a_name(tmp_path):
    assert filesystem(tmp_path) != "unknown"


def test_a_port_in_use_is_told_in_plain_words():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BenchError, match=f"port {port} of 127.0.0.1 is not free"):
            require_free(port)
    require_free(port)


def test_an_engine_that_ends_is_told_with_the_end_of_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "listens", lambda port: False)
    with pytest.raises(BenchError, match=r"exit code 3:\n    no such table"):
        engine.Engine("sh -c 'echo no such table; exit 3' {site}", WORKLOADS["w1"], "sqlite://", tmp_path)


def test_an_engine_that_does_not_exist_is_told_by_name(tmp_path):
    with pytest.raises(BenchError, match="cannot run no-such-engine"):
        engine.Engine("no-such-engine {site}", WORKLOADS["w1"], "sqlite://", tmp_path)
