"""conf/: environments over the base, references to secrets, and what is said when they are wrong."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from suture.config.conf import Conf, read_conf
from suture.store.url import located

BASE = """\
site: {name: General Hospital, zone: America/Chicago}
endpoints:
  erp:
    http_out:
      url: "http://127.0.0.1:9310/inventory"
      auth: {bearer: "${env:ERP_TOKEN}"}
    in_flight: 16
    retry: {first_s: 2}
"""


def write(directory: Path, **files: str) -> Path:
    (directory / "conf").mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / "conf" / f"{name}.yaml").write_text(text)
    return directory


def right(directory: Path, environment: str | None = None, environ: dict[str, str] | None = None) -> Conf:
    conf, _, problems = read_conf(directory, environment, environ or {"ERP_TOKEN": "t0ps3cret"})
    assert problems == [] and conf is not None
    return conf


def said(directory: Path, environment: str | None = None, environ: dict[str, str] | None = None) -> list[str]:
    conf, _, problems = read_conf(directory, environment, environ or {})
    assert conf is None
    return list(map(str, problems))


def test_the_defaults_and_the_policy_of_an_endpoint(tmp_path: Path):
    conf = right(write(tmp_path, base=BASE))
    policy = conf.endpoints["erp"].policy()
    assert (policy.first_s, policy.max_s, policy.give_up_after_s, policy.in_flight) == (2, 60, 72 * 3600, 16)
    assert (policy.breaker_after, policy.on_ambiguous, policy.memory_limit) == (5, "resend", 2000)
    assert conf.endpoints["erp"].connector[0] == "http_out"
    assert (conf.http.port, conf.journal.limit, conf.journal.batch, str(conf.zone)) == (8080, 20_000, 512, "America/Chicago")


def test_an_environment_is_merged_key_by_key(tmp_path: Path):
    write(tmp_path, base=BASE, prod='endpoints:\n  erp: {http_out: {url: "https://erp.example/inventory"}, retry: {max_s: 300}}\n')
    erp = right(tmp_path, "prod").endpoints["erp"]
    assert str(erp.connector[1].url) == "https://erp.example/inventory"  # type: ignore[attr-defined]
    assert erp.connector[1].auth.bearer.get_secret_value() == "t0ps3cret"  # type: ignore[attr-defined]
    assert (erp.retry.first_s, erp.retry.max_s, erp.in_flight) == (2, 300, 16)


def test_another_connector_in_an_environment_takes_the_place_of_the_first(tmp_path: Path):
    write(tmp_path, base=BASE, test="endpoints: {erp: {mllp_out: {host: 127.0.0.1, port: 9000}}}\n")
    erp = right(tmp_path, "test", {"NO_TOKEN": "needed"}).endpoints["erp"]
    assert erp.connector[0] == "mllp_out" and erp.in_flight == 16


def test_a_problem_names_the_file_and_line_that_the_value_came_from(tmp_path: Path):
    write(tmp_path, base=BASE, prod="# production\nendpoints:\n  erp:\n    retry:\n      max_s: soon\n      max: 3\n")
    assert said(tmp_path, "prod", {"ERP_TOKEN": "x"}) == [
        "conf/prod.yaml:5: endpoints.erp.retry.max_s: 'soon' is not a number of seconds, e.g. 60",
        "conf/prod.yaml:6: endpoints.erp.retry: unknown key 'max'; did you mean 'max_s'?",
    ]


def test_an_empty_environment_changes_nothing(tmp_path: Path):
    assert right(write(tmp_path, base=BASE, dev="# nothing yet\n"), "dev") == right(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tset", "conf/tset.yaml:1: there is no such environment; did you mean 'test'?"),
        ("x", "conf/x.yaml:1: there is no such environment; there are: prod, test"),
        ("../../etc/x", "conf/../../etc/x.yaml:1: there is no such environment; there are: prod, test"),
    ],
)
def test_an_unknown_environment_is_named_with_those_there_are(tmp_path: Path, name: str, expected: str):
    assert expected in said(write(tmp_path, base=BASE, test="", prod=""), name, {"ERP_TOKEN": "x"})


def test_everything_wrong_in_a_conf_is_said_at_once(tmp_path: Path):
    text = """\
site: {zone: America/Chicgo}
store: {url: "mysql://root:hunter2@db/x"}
http: {port: 99999}
limits: {read_idle_s: soon, message_bytes: 1.5, drain_s: -1, connections: 0}
journal: {batch: none}
endpoints:
  erp: {http_out: {url: "ftp://erp", auth: {bearer: {a: b}}, meaning: {409: acept}}, retry: {first_s: 5, max_s: 1}}
  lab: {in_flight: 3}
  rev: {http_out: {url: x}, mllp_out: {port: 1, host: h}, on_ambiguous: resnd}
  ana: {http_out: {url: "http://h"}, breker: {after: 1}}
  old: {htp_out: {}}
"""
    assert said(write(tmp_path, base=text)) == [
        "conf/base.yaml:1: site.zone: 'America/Chicgo' is not a time zone; did you mean 'America/Chicago'?",
        "conf/base.yaml:2: store.url: the scheme 'mysql' is not supported; "
        "write sqlite:///suture.db or postgresql://USER:PASSWORD@HOST/NAME",
        "conf/base.yaml:3: http.port: '99999' is too large; at most 65535",
        "conf/base.yaml:5: journal.batch: 'none' is not a whole number, e.g. 512",
        "conf/base.yaml:4: limits.message_bytes: '1.5' is not a whole number of bytes, e.g. 16777216",
        "conf/base.yaml:4: limits.connections: '0' is too small; at least 1",
        "conf/base.yaml:4: limits.read_idle_s: 'soon' is not a number of seconds, e.g. 3600",
        "conf/base.yaml:4: limits.drain_s: '-1' is too small; at least 0 seconds",
        "conf/base.yaml:7: endpoints.erp.retry: 'first_s' (5) is more than 'max_s' (1); make one of them fit",
        "conf/base.yaml:7: endpoints.erp.http_out.url: 'ftp://erp' must begin with http:// or https://",
        "conf/base.yaml:7: endpoints.erp.http_out.auth.bearer: a text must stand here, not keys with values (key: value)",
        "conf/base.yaml:7: endpoints.erp.http_out.meaning.409: 'acept' is none of the choices: accept, reject, retry, hold, "
        "unavailable, ambiguous; "
        "did you mean 'accept'?",
        "conf/base.yaml:9: endpoints.rev.on_ambiguous: 'resnd' is none of the choices: resend, hold; did you mean 'resend'?",
        "conf/base.yaml:9: endpoints.rev.http_out.url: 'x' is not a URL, e.g. http://127.0.0.1:8080/path",
        "conf/base.yaml:10: endpoints.ana: unknown key 'breker'; did you mean 'breaker'?",
        "conf/base.yaml:11: endpoints.old: unknown key 'htp_out'; did you mean 'http_out'?",
        "conf/base.yaml:8: endpoints.lab: a connector is required: http_out or mllp_out",
        "conf/base.yaml:9: endpoints.rev: http_out and mllp_out are two connectors; keep one",
    ]


def test_what_no_acknowledgement_says_is_a_problem_where_it_stands(tmp_path: Path):
    text = """\
site: {zone: UTC}
endpoints:
  lab:
    mllp_out:
      host: lab
      port: 2575
      meaning:
        ae: hold
        XX: accept
        AR: rety
  rad: {mllp_out: {host: h, port: 1, pipeline: 4, match: order}}
  erp: {mllp_out: {host: h, port: 1, pipeline: 4, meaning: {empty: accept}}}
  bil: {mllp_out: {host: h, port: 1, ack: commit, application_timeout_s: 5}}
  adt: {mllp_out: {host: h, port: 1, meaning: {AE: reject, ae: hold}}}
"""
    assert said(write(tmp_path, base=text)) == [
        "conf/base.yaml:9: endpoints.lab.mllp_out.meaning.XX: 'XX' is no code of an acknowledgement; "
        "write one of AA, AE, AR, CA, CE, CR, or no_msa, empty or other",
        "conf/base.yaml:10: endpoints.lab.mllp_out.meaning.AR: 'rety' is none of the choices: accept, reject, retry, hold; "
        "did you mean 'retry'?",
        "conf/base.yaml:11: endpoints.rad.mllp_out: match: order needs pipeline: 1; "
        "with several messages in flight such an answer does not say whose it is",
        "conf/base.yaml:12: endpoints.erp.mllp_out: meaning of no_msa and empty needs pipeline: 1; "
        "with several messages in flight such an answer does not say whose it is",
        "conf/base.yaml:13: endpoints.bil.mllp_out: application_timeout_s has no effect with ack: commit, "
        "which waits for no application; leave it out",
        "conf/base.yaml:14: endpoints.adt.mllp_out.meaning: AE is written twice, for blanks and capitals make no difference; keep one",
    ]


# -- references ------------------------------------------------------------------------------------------------------


def named(directory: Path, value: str, environ: dict[str, str]) -> Conf:
    return right(write(directory, base=f"site: {{zone: UTC, name: {value}}}\n"), None, environ or {"X": "x"})


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('"${env:NAME}"', "General"),
        ('"${env:MISSING:-Fallback}"', "Fallback"),
        ('"${env:MISSING:-}"', ""),
        ('"${env:EMPTY:-Fallback}"', "Fallback"),
        ('"a ${env:NAME} b ${env:NAME}"', "a General b General"),
        ('"$${env:NAME}"', "${env:NAME}"),
        ('"costs $5"', "costs $5"),
        ('"${file:secrets/name.txt}"', "From file"),
    ],
)
def test_references_are_replaced(tmp_path: Path, value: str, name: str):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "name.txt").write_text("From file\n")
    assert named(tmp_path, value, {"NAME": "General", "EMPTY": ""}).site.name == name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${env:ERP_TOKN}", "the environment variable 'ERP_TOKN' is not set; did you mean 'ERP_TOKEN'?"),
        ("${env:EMPTY}", "the environment variable 'EMPTY' is empty; set it, or give a default: ${env:EMPTY:-default}"),
        ("${env:NOPE}", "the environment variable 'NOPE' is not set; set it, or give a default: ${env:NOPE:-default}"),
        ("${NAME}", "${NAME} is not a reference; write ${env:NAME}, ${env:NAME:-default} or ${file:path}"),
        ("${file:}", "${file:} is not a reference; write ${env:NAME}, ${env:NAME:-default} or ${file:path}"),
        ("${env:NAME", "a ${ is not closed by a }; write $${ for a ${ that is no reference"),
        ("${file:nope}", "the file 'nope' does not exist (relative paths begin at the site's directory)"),
        ("${file:conf}", "the file 'conf' cannot be read; check that it is a file and who may read it"),
        ("${file:latin1}", "the file 'latin1' is not UTF-8 text"),
        ("${file:large}", "the file 'large' is larger than 65536 bytes"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_problem_at_its_line(tmp_path: Path, value: str, expected: str):
    (tmp_path / "latin1").write_bytes(b"caf\xe9")
    (tmp_path / "large").write_bytes(b"x" * 65_537)
    write(tmp_path, base=f'site:\n  zone: UTC\n  name: "{value}"\n')
    assert said(tmp_path, None, {"ERP_TOKEN": "t0ps3cret", "EMPTY": ""}) == [f"conf/base.yaml:3: site.name: {expected}"]


def test_a_missing_secret_says_nothing_else_about_its_value(tmp_path: Path):
    write(tmp_path, base=BASE.replace('url: "http://127.0.0.1:9310/inventory"', 'url: "${env:ERP_URL}"'))
    assert [problem.split(": ")[1] for problem in said(tmp_path)] == [
        "endpoints.erp.http_out.url",
        "endpoints.erp.http_out.auth.bearer",
    ]


SECRET = "hunter2-marker"


@pytest.mark.parametrize(
    "text",
    [
        'site: {zone: "${env:S}"}\n',
        'site: {zone: UTC}\nhttp: {port: "${env:S}"}\n',
        'site: {zone: UTC}\nhttp: {port: "1${env:S}"}\n',
        'site: {zone: UTC}\nstore: {url: "${env:S}://x"}\n',
        'site: {zone: UTC}\nstore: {url: "mysql://u:${env:S}@h/x"}\n',
        'site: {zone: UTC}\nendpoints: {a: {http_out: {url: "${env:S}"}}}\n',
        'site: {zone: UTC}\nendpoints: {a: {http_out: {url: "ftp://u:${env:S}@h"}}}\n',
        'site: {zone: UTC}\nendpoints: {a: {http_out: {url: "http://h", method: "${env:S}"}}}\n',
        'site: {zone: UTC}\nendpoints: {a: {on_ambiguous: "${env:S}"}}\n',
        'site: {zone: UTC}\nendpoints: {a: {http_out: "${env:S}"}}\n',
        'site: {zone: UTC}\nendpoints: "${env:S}"\n',
        f"site: {{zone: UTC}}\nendpoints: {{a: {{http_out: {{url: 'ftp://user:{SECRET}@host'}}}}}}\n",
        f"site: {{zone: UTC}}\nendpoints: {{a: {{http_out: {{url: 'http://h', auth: {{bearer: [{SECRET}]}}}}}}}}\n",
        f"site: {{zone: UTC}}\nstore: {{url: 'mysql://user:{SECRET}@host/x'}}\n",
    ],
)
def test_a_secret_is_never_in_a_problem(tmp_path: Path, text: str):
    problems = said(write(tmp_path, base=text), None, {"S": SECRET})
    assert problems and SECRET not in "\n".join(problems)


def test_a_secret_is_in_no_repr_dump_or_traceback(tmp_path: Path):
    text = BASE + f'store: {{url: "postgresql+psycopg://suture:{SECRET}@db/suture"}}\n'
    conf, document, _ = read_conf(write(tmp_path, base=text), None, {"ERP_TOKEN": SECRET})
    assert conf is not None
    shown = [repr(conf), str(conf), str(conf.model_dump()), conf.model_dump_json(), repr(document)]
    try:
        raise RuntimeError(conf)
    except RuntimeError:
        shown.append(traceback.format_exc())
    assert SECRET not in "\n".join(shown)
    assert SECRET in conf.store.url.get_secret_value()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(tmp_path: Path, url: str):
    assert said(write(tmp_path, base=f'site: {{zone: UTC}}\nstore: {{url: "{url}"}}\n')) == [
        "conf/base.yaml:2: store.url: names no file, and messages cannot be kept in memory; write sqlite:///suture.db"
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///suture.db", "sqlite:////site/suture.db"),
        ("sqlite:///data/suture.db?timeout=5", "sqlite:////site/data/suture.db?timeout=5"),
        ("sqlite:////var/lib/suture.db", "sqlite:////var/lib/suture.db"),
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_a_relative_database_file_begins_at_the_site(url: str, expected: str):
    assert located(url, Path("/site")) == expected


def test_files_of_tls_begin_at_the_sites_directory(tmp_path: Path):
    tls = "{ca: certs/ca.pem, certificate: /etc/own.pem, key: certs/own.key}"
    write(tmp_path, base=BASE.split("endpoints:")[0] + f"endpoints:\n  lab: {{mllp_out: {{host: lab, port: 2575, tls: {tls}}}}}\n")
    settings = right(tmp_path).endpoints["lab"].connector[1].tls  # type: ignore[attr-defined]
    assert settings.ca == str(tmp_path / "certs" / "ca.pem")
    assert settings.certificate == "/etc/own.pem"
    assert settings.key == str(tmp_path / "certs" / "own.key")
