"""A whole site: what is resolved when it is right, and everything that is said when it is not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from suture.config.check import check_site
from suture.config.site import load_channel, load_site
from suture.connectors import http_out, mllp_in
from suture.model.errors import ConfigError
from tests.config.site_files import SiteFiles

CHANNEL = "channels/or-supply/channel.yaml"


def said(site: SiteFiles, environment: str | None = None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_site(site.directory, environment, environ or {})
    assert str(error.value) == "\n".join(map(str, error.value.problems))
    return [str(problem) for problem in error.value.problems]


def warned(site: SiteFiles) -> list[str]:
    return [str(warning) for warning in load_site(site.directory, None, {}).warnings]


def test_a_site_that_is_right_is_resolved(site: SiteFiles):
    found = load_site(site.directory, None, {})
    channel = found.channels["or-supply"]
    assert str(found.conf.zone) == "America/Chicago" and found.warnings == []
    assert found.database_url == f"sqlite:///{site.directory}/suture.db"
    assert channel.source_module is mllp_in and channel.source_settings.port == 2575  # type: ignore[attr-defined]
    assert channel.inbound is not None and channel.stock is not None and channel.directory == site.directory / "channels" / "or-supply"
    erp = channel.destinations["erp"]
    assert (erp.route.to, erp.module, erp.route.per) == ("erp", http_out, "event")
    assert all(to.renderer for to in channel.destinations.values()) and list(channel.destinations) == ["erp", "billing"]


def test_the_environment_is_taken_from_suture_env_when_none_is_named(site: SiteFiles):
    site.write("conf/prod.yaml", "site: {name: Production}\n")
    assert load_site(site.directory, None, {"SUTURE_ENV": "prod"}).conf.site.name == "Production"
    assert load_site(site.directory, None, {}).conf.site.name == "Test"
    assert said(site, "prd") == ["conf/prd.yaml:1: there is no such environment; did you mean 'prod'?"]


def test_the_database_of_the_environment_overrides_the_conf(site: SiteFiles):
    url = "postgresql://suture:hunter2@db/suture"
    found = load_site(site.directory, None, {"SUTURE_DATABASE_URL": url})
    assert found.database_url == "postgresql+psycopg://suture:hunter2@db/suture"
    assert "hunter2" not in repr(found)
    assert said(site, None, {"SUTURE_DATABASE_URL": "mysql://u:hunter2@db/x"}) == [
        "conf/base.yaml:1: store.url: SUTURE_DATABASE_URL, which overrides it: the scheme 'mysql' is not supported; "
        "write sqlite:///suture.db or postgresql://USER:PASSWORD@HOST/NAME"
    ]


def test_a_directory_without_a_site_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        load_site(tmp_path, None, {})
    remedy = "there is no site here (no conf/base.yaml); name a site's directory, or make one with: suture init DIRECTORY"
    assert str(error.value) == f"{tmp_path}:1: {remedy}"


def test_a_site_without_channels_says_where_they_go(site: SiteFiles):
    for path in sorted((site.directory / "channels").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert said(site) == ["channels:1: there is no channel; add channels/<name>/channel.yaml"]


def test_everything_wrong_in_all_files_is_said_at_once(site: SiteFiles):
    site.replace("conf/base.yaml", {"zone: America/Chicago": "zone: Mars", "port: 9}": "port: 9, hosst: x}"})
    site.replace(CHANNEL, {"to: erp": "to: epr", "map: supply": "map: suply", "as: charge": "as: charges", "stock: true": "stokc: true"})
    site.replace("mappings/supply.yaml", {"each: FT1": "eahc: FT1"})
    site.replace("mappings/charge.yaml", {"segments:": "segmnets:"})
    site.write("mappings/tables/item_master.csv", "item,description\nIMP-1\n")
    site.write("channels/lab/channel.yaml", "channel: lab\n  source: x\n")
    found = said(site)
    assert found[:6] == [
        "channels/lab/channel.yaml:2: a ': ' does not fit here; put a text that holds one in quotes, "
        "or check the indentation and whether the line above lacks its ':'",
        f"{CHANNEL}:5: map: there is no mappings/suply.yaml; did you mean 'supply'?",
        f"{CHANNEL}:6: unknown key 'stokc'; did you mean 'stock'?",
        f"{CHANNEL}:8: destinations.erp.to: there is no endpoint 'epr' in conf; did you mean 'erp'?",
        f"{CHANNEL}:9: destinations.billing.as: there is no mappings/charges.yaml; did you mean 'charge'?",
        "conf/base.yaml:1: site.zone: 'Mars' is not a time zone; write one such as America/Chicago",
    ]
    assert "conf/base.yaml:5: endpoints.billing.mllp_out: unknown key 'hosst'; did you mean 'host'?" in found
    assert "mappings/supply.yaml:3: unknown key 'eahc'; did you mean 'each'?" in found
    assert "mappings/charge.yaml:3: unknown key 'segmnets'; did you mean 'segments'?" in found
    assert any(problem.startswith("mappings/tables/item_master.csv:2:") for problem in found)
    assert found == sorted(found, key=lambda problem: (problem.split(":")[0], int(problem.split(":")[1])))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"channel: or-supply": "channel: or"}, "1: channel: 'or' is not the directory's name; write 'or-supply' or rename the directory"),
        (
            {"map: supply": "map: charge"},
            "5: map: mappings/charge.yaml is an outbound mapping; here stands one with `from:`, for what comes in; there are: supply",
        ),
        (
            {"as: charge": "as: supply"},
            "9: destinations.billing.as: mappings/supply.yaml is an inbound mapping; here stands one with `to:`, for what goes out; "
            "there are: charge",
        ),
        (
            {'"charge.*"': '"chrge.*"'},
            "9: destinations.billing.events: 'chrge.*' matches no event; did you mean 'charge.raised'?",
        ),
        (
            {"as: charge": "per: event"},
            "9: destinations.billing: 'as' is required: events, cloudevents or an outbound mapping",
        ),
        ({"as: charge}": "as: charge, message: {MSH-5: LAB}}"}, "9: destinations.billing.as: has no meaning beside `message`, "),
        (
            {"mllp_in: {port: 2575}": "mllp_in: {port: 2575}, http_out: {}"},
            "2: source: unknown key 'http_out'; there are: mllp_in",
        ),
        ({"{mllp_in: {port: 2575}}": "{}"}, "2: source: a connector is required: mllp_in"),
        ({"FT1-2]": "FT1.2]"}, "4: business_key.1: 'FT1.2' is not a path; a dash stands before the field; did you mean FT1-2?"),
    ],
)
def test_what_only_shows_against_the_rest_of_the_site(site: SiteFiles, changes: dict[str, str], expected: str):
    site.replace(CHANNEL, changes)
    assert any(problem.startswith(f"{CHANNEL}:{expected}") for problem in said(site)), said(site)


@pytest.mark.parametrize("kind", ["ACK", "ACK^P03", "MCF", "MFK^M01"])
def test_a_channel_cannot_take_acknowledgements_as_messages(site: SiteFiles, kind: str):
    site.replace(CHANNEL, {"accept: [DFT^P03]": f"accept: [DFT^P03, {kind}]"})
    text = "can never be processed: acknowledgements that arrive as messages are kept and counted, no more; remove it"
    assert said(site) == [f"{CHANNEL}:3: accept: '{kind}' {text}"]


def test_a_channel_may_take_responses(site: SiteFiles):
    site.replace(CHANNEL, {"accept: [DFT^P03]": "accept: [DFT^P03, ORR^O02, RSP^K11]"})
    assert load_site(site.directory, None, {}).channels["or-supply"].config.accept == ["DFT^P03", "ORR^O02", "RSP^K11"]


def test_stock_needs_its_table_and_events(site: SiteFiles):
    site.remove("mappings/tables/stock.csv")
    assert said(site) == [f"{CHANNEL}:6: stock: needs the opening stock in mappings/tables/stock.csv; add the file or remove `stock`"]


def test_a_channel_without_a_map_passes_messages_on(site: SiteFiles):
    site.write(
        "channels/adt/channel.yaml",
        "channel: adt\nsource: {mllp_in: {port: 2576}}\ndestinations:\n  lab: {to: billing, message: {MSH-5: LAB, MSH-6: MCM}}\n",
    )
    channel = load_site(site.directory, None, {}).channels["adt"]
    assert channel.inbound is None and {name: to.renderer for name, to in channel.destinations.items()} == {"lab": None}
    site.replace("channels/adt/channel.yaml", {"message: {MSH-5: LAB, MSH-6: MCM}": "as: events"})
    assert said(site) == [
        "channels/adt/channel.yaml:4: destinations.lab: `message` is required, since the channel has no `map` and so no events; "
        "write message: {} to send it on as it is"
    ]


def test_a_channel_with_a_map_does_not_send_messages_on(site: SiteFiles):
    site.replace(CHANNEL, {'events: ["charge.*"], as: charge': "message: {MSH-5: LAB}"})
    assert said(site) == [
        f"{CHANNEL}:9: destinations.billing.message: a channel with `map` sends events; "
        "make a channel of its own (without `map`) to send received messages on"
    ]


def test_two_channels_cannot_listen_on_one_port(site: SiteFiles):
    text = "channel: adt\nsource: {mllp_in: {port: 2575, host: 0.0.0.0}}\ndestinations: {lab: {to: billing, message: {}}}\n"
    site.write("channels/adt/channel.yaml", text)
    assert said(site) == [
        f"{CHANNEL}:2: source.mllp_in.port: port 2575 is taken by channel 'adt' (channels/adt/channel.yaml:2) already; choose another"
    ]
    site.replace("channels/adt/channel.yaml", {"port: 2575, host: 0.0.0.0": "port: 2575, host: 127.0.0.2"})
    assert load_site(site.directory, None, {}).channels.keys() == {"adt", "or-supply"}


def test_a_channel_cannot_listen_on_the_port_of_the_metrics(site: SiteFiles):
    site.replace("conf/base.yaml", {"port: 0": "port: 2575"})
    assert said(site) == [f"{CHANNEL}:2: source.mllp_in.port: port 2575 is taken by the `http` of conf already; choose another"]


def test_a_directory_without_a_channel_file_and_an_empty_one_are_named(site: SiteFiles):
    (site.directory / "channels" / "adt").mkdir()
    site.write("channels/lab/channel.yaml", "# soon\n")
    assert said(site) == ["channels/adt/channel.yaml:1: there is no such file", "channels/lab/channel.yaml:1: the file is empty"]


def test_mapping_files_are_checked_with_their_lines(site: SiteFiles):
    site.replace("mappings/supply.yaml", {"table: item_master, required": "table: item_mastr, required"})
    found = said(site)
    assert [problem.split(": ")[0] for problem in found] == ["mappings/supply.yaml:8", "mappings/supply.yaml:16"]
    assert all("item_mastr" in problem and "item_master" in problem for problem in found)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("other", "mapping: another\nfrom: hl7v2\n", "1: mapping: 'another' is not the file's name; write 'other' or rename the file"),
        ("other", "mapping: other\n", "1: a mapping has either `from: hl7v2` (what comes in) or `to: json` or `to: hl7v2` (what goes out)"),
        ("other", "# nothing\n", "1: the file is empty"),
        ("other", "mapping: other\nfrom: hl7v3\nemit: []\n", "2: from: 'hl7v3' is none of the choices: hl7v2, json; did you mean 'hl7v2'?"),
    ],
)
def test_mappings_that_no_channel_uses_are_checked_too(site: SiteFiles, name: str, text: str, expected: str):
    site.write(f"mappings/{name}.yaml", text)
    assert f"mappings/{name}.yaml:{expected}" in said(site)


def test_a_table_that_is_no_text_is_named(site: SiteFiles):
    site.write("mappings/tables/item_master.csv", b"item,description\nIMP-1,Caf\xe9\n")
    assert "mappings/tables/item_master.csv:2: byte 0xE9 is not UTF-8; save the file as UTF-8" in said(site)


def test_opening_stock_is_checked_with_its_lines(site: SiteFiles):
    header = "location,item,on_hand,reorder_point,par_level,unit"
    site.write("mappings/tables/stock.csv", f"{header}\nOR,IMP-1,six,4,10,EA\nOR,IMP-2,6,10,4,EA\n")
    assert said(site) == [
        "mappings/tables/stock.csv:2: OR IMP-1: on_hand 'six' is not a number, e.g. 12",
        "mappings/tables/stock.csv:3: OR IMP-2: par_level must be above reorder_point, or nothing would be ordered",
    ]
    site.write("mappings/tables/stock.csv", "location,item,quantity\nOR,IMP-1,6\n")
    assert said(site) == ["mappings/tables/stock.csv:1: columns are missing: on_hand, reorder_point, par_level, unit"]


def test_what_does_no_harm_is_only_a_warning(site: SiteFiles):
    site.replace("conf/base.yaml", {"endpoints:\n": 'endpoints:\n  old: {http_out: {url: "http://127.0.0.1:9/"}}\n'})
    site.write("mappings/unused.yaml", "mapping: unused\nto: json\nbody: {Item: item}\n")
    site.replace(CHANNEL, {"stock: true\n": "", "[DFT^P03]": "[DFT^P03, DFT]"})
    assert warned(site) == [
        f"{CHANNEL}:3: accept: 'DFT' accepts only messages whose MSH-9 has no trigger event; name it, e.g. DFT^P03",
        f"{CHANNEL}:7: destinations.erp.events: 'replenishment.*' matches none of this channel's events: supply.used, charge.raised",
        "mappings/unused.yaml:1: no channel uses this mapping",
        "conf/base.yaml:4: endpoints.old: no channel delivers to this endpoint",
    ]


def test_what_a_wrong_channel_uses_is_not_called_unused(site: SiteFiles):
    site.write(CHANNEL, "channel: or-supply\n\tmap: x\n")
    assert [str(warning) for warning in check_site(site.directory, None, {}).warnings] == []


@pytest.mark.parametrize("name", ["mappings/pipe.yaml", "mappings/tables/pipe.csv"])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_read(site: SiteFiles, name: str):
    os.mkfifo(site.directory / name)
    assert said(site) == [f"{name}:1: cannot be read: it is a pipe, a socket or a device; put a file in its place"]


@pytest.mark.parametrize("name", ["channels", "mappings", "mappings/tables", "conf"])
def test_a_directory_that_cannot_be_listed_is_not_taken_for_an_empty_one(site: SiteFiles, monkeypatch: pytest.MonkeyPatch, name: str):
    listdir = os.listdir

    def refusing(path: Path) -> list[str]:
        if path == site.directory / name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    assert said(site) == [f"{name}:1: cannot be read: Permission denied; look at the directory's permissions"]


def test_a_sample_that_may_not_be_read_is_named(site: SiteFiles, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    site.write("channels/or-supply/tests.yaml", "- name: a\n  message: samples/implant.hl7\n  expect_none: true\n")
    site.write("channels/or-supply/samples/implant.hl7", "MSH|^~\\&|A\r")
    problems = check_site(site.directory, None, {}).problems
    expected = "channels/or-supply/tests.yaml:2: 0.message: the file 'samples/implant.hl7' cannot be read; look at its permissions"
    assert list(map(str, problems)) == [expected]


def test_names_that_are_too_long_for_a_file_are_names_of_no_file(site: SiteFiles):
    site.write("channels/or-supply/tests.yaml", f"- name: a\n  message: {'x' * 5000}\n  expect_none: true\n")
    problems = check_site(site.directory, None, {}).problems
    assert len(problems) == 1 and "0.message: there is no file" in str(problems[0])
    assert "File name too long" in str(check_site(Path("x" * 5000), None, {}).problems[0])


@pytest.mark.parametrize("host", ["ü..ä", "x" * 300])
def test_a_host_that_cannot_be_one_stops_the_start(site: SiteFiles, host: str):
    site.replace(CHANNEL, {"{port: 2575}": f'{{port: 2575, host: "{host}"}}'})
    assert len(said(site)) == 1 and "source.mllp_in.host: cannot be the name or address of a host" in said(site)[0]


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_saved_with_other_separators_is_told_so(site: SiteFiles, mark: str, name: str):
    table = site.directory / "mappings/tables/item_master.csv"
    table.write_text(table.read_text().replace(",", mark))
    assert f"mappings/tables/item_master.csv:1: the columns are separated by {name}; save the file as CSV with commas" in said(site)


def test_a_device_as_a_secret_is_read_no_further_than_the_limit(site: SiteFiles):
    site.replace(CHANNEL, {"{port: 2575}": '{port: "${file:/dev/zero}"}'})
    assert any("the file '/dev/zero' is larger than" in line for line in said(site))


def test_limits_of_the_site_hold_for_sources_that_set_none(site: SiteFiles):
    site.replace("conf/base.yaml", {"http: {": "limits: {message_bytes: 4096, read_idle_s: 60}\nhttp: {"})
    site.replace(CHANNEL, {"{port: 2575}": "{port: 2575, idle_s: 5}"})
    settings = load_site(site.directory, None, {}).channels["or-supply"].source_settings
    assert (settings.limit_bytes, settings.idle_s, settings.connections) == (4096, 5, 2000)  # type: ignore[attr-defined]


def test_a_channel_may_take_settings_from_the_environment(site: SiteFiles):
    site.replace(CHANNEL, {"port: 2575": 'port: "${env:PORT}"'})
    assert load_site(site.directory, None, {"PORT": "9999"}).channels["or-supply"].source_settings.port == 9999  # type: ignore[attr-defined]
    assert said(site) == [
        f"{CHANNEL}:2: source.mllp_in.port: the environment variable 'PORT' is not set; set it, or give a default: ${{env:PORT:-default}}"
    ]


# -- one channel -----------------------------------------------------------------------------------------------------


def test_one_channel_is_read_again_though_others_are_wrong(site: SiteFiles):
    site.write("channels/adt/channel.yaml", "channel: [\n")
    site.write("mappings/other.yaml", "mapping: [\n")
    site.replace(CHANNEL, {"accept: [DFT^P03]": "accept: [DFT^P11]"})
    assert load_channel(site.directory, "or-supply", None, {}).config.accept == ["DFT^P11"]


def test_one_channel_with_problems_is_not_loaded(site: SiteFiles):
    site.replace("mappings/supply.yaml", {"each: FT1": "eahc: FT1"})
    site.replace(CHANNEL, {"stock:": "stokc:"})
    with pytest.raises(ConfigError) as error:
        load_channel(site.directory, "or-supply", None, {})
    assert "mappings/supply.yaml:3: unknown key 'eahc'; did you mean 'each'?" in str(error.value)
    assert f"{CHANNEL}:6: unknown key 'stokc'; did you mean 'stock'?" in str(error.value)


def test_one_channel_cannot_take_the_port_of_another(site: SiteFiles):
    site.write("channels/zz/channel.yaml", "channel: zz\nsource: {mllp_in: {port: 1}}\ndestinations: {a: {to: billing, message: {}}}\n")
    assert load_channel(site.directory, "zz", None, {}).name == "zz"
    site.replace("channels/zz/channel.yaml", {"port: 1": "port: 2575"})
    for name in ("zz", "or-supply"):
        with pytest.raises(ConfigError, match="port 2575 is taken by channel"):
            load_channel(site.directory, name, None, {})


def test_an_unknown_channel_is_named_with_those_there_are(site: SiteFiles):
    with pytest.raises(ConfigError) as error:
        load_channel(site.directory, "or-suply", None, {})
    assert str(error.value) == "channels/or-suply:1: there is no such channel; did you mean 'or-supply'?"


# -- suture check ----------------------------------------------------------------------------------------------------


def test_check_reads_the_site_and_runs_the_tests(site: SiteFiles):
    result = check_site(site.directory, None, {})
    assert result.ok and result.problems == [] and [test.name for test in result.tests] == ["an implant raises a charge"]


def test_check_tells_everything_and_raises_nothing(site: SiteFiles):
    site.write("channels/bad/channel.yaml", "channel: bad\n")
    site.replace("channels/or-supply/tests.yaml", {"quantity: 2": "quantity: 3"})
    result = check_site(site.directory, None, {})
    assert not result.ok
    assert [str(problem) for problem in result.problems] == [
        "channels/bad/channel.yaml:1: 'source' is required",
        "channels/bad/channel.yaml:1: 'destinations' is required",
    ]
    assert [[one.text for one in test.differences] for test in result.tests] == [["charge.raised 1: quantity is 2, expected 3"]]


def test_check_of_a_directory_without_a_site(tmp_path: Path):
    assert [problem.line for problem in check_site(tmp_path, None, {}).problems] == [1]


def test_check_warns_of_a_channel_without_tests(site: SiteFiles):
    site.remove("channels/or-supply/tests.yaml")
    result = check_site(site.directory, None, {})
    assert result.ok and list(map(str, result.warnings)) == ["channels/or-supply/tests.yaml:1: the channel has no tests"]
