"""Rules by release and by type of crash against a peer's cases: its tables as our kind of data give its answers."""

import functools
import json
from pathlib import Path

import pytest
from tests.support.peer import shared

from firstbad.crash.formats import is_kind
from firstbad.kernel import config, data
from firstbad.kernel.dotconfig import read_config
from firstbad.kernel.instrumentation import drop_unneeded
from firstbad.kernel.toolchain import choose

AGES_AGO = (2, 6, 12)


@functools.cache
def table():
    return json.loads((shared() / "peer" / "vcs_cases.json").read_text())


def fake_compiler(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{path.name} (Fake) 1.0'\n")
    path.chmod(0o755)


@pytest.mark.parametrize("number", range(6))
def test_compiler_by_release(number, tmp_path, monkeypatch):
    """The peer's rows as entries of a toolchains.toml; its directory of compilers as a job's."""
    facts = table()["compiler_by_tag"]
    assert len(facts["cases"]) == 6
    case, args = facts["cases"][number], facts["case_args"]
    directory, default = tmp_path / "dir", tmp_path / "default" / "compiler"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    fake_compiler(default)
    rules = []
    for family in ("gcc", "clang"):
        for row in facts[family]:
            rule = {"name": row["use"], "family": family, "package": "none"}
            if row["has_tag"]:
                rule["from"] = row["has_tag"]
            if row["use"] == "default compiler":
                rule["cc"] = str(default)
            elif row["use"].endswith("(from PATH)"):
                rule["cc"] = row["use"].split()[0]
                fake_compiler(tmp_path / "bin" / rule["cc"])
            else:
                rule["path"] = f"{row['use']}/bin/{family}"
                fake_compiler(directory / rule["path"])
            rules.append(rule)
    version = max((data.version_of(tag) for tag in case["tags"]), default=AGES_AGO)
    found = choose(version, case["type"], dirs=[directory], rules=rules)
    expected = case["expect"].replace(args["bin_dir"], f"{directory}/").replace(args["default"], str(default))
    assert found.cc == expected


def peer_rules():
    facts = table()["config_by_tag"]
    rows = facts["disable_below_tag"].items()
    rules = [{"unset": name, **({} if tag == "always" else {"below": tag})} for name, tag in rows]
    return rules + [
        {"replace": row["from"], "by": row["to"], "below": row["below_tag"]} for row in facts["alter_below_tag"]
    ]


def test_configuration_by_release():
    """Each option goes below its release only, and only where the file has it; of no known release what always goes."""
    facts, rules = table()["config_by_tag"], peer_rules()
    everything = "".join(f"CONFIG_{name}=y\n" for name in [*facts["disable_below_tag"], "UNWINDER_ORC", "OTHER"])
    for version in ((4, 4, 0), (4, 12, 0), (4, 13, 0), (5, 2, 0), (5, 3, 9), (5, 4, 0), (6, 12, 0), None):
        values = read_config(config.adapt(everything, version, rules))
        for name, tag in facts["disable_below_tag"].items():
            off = tag == "always" or (version is not None and version < data.version_of(tag))
            assert values[name] == ("n" if off else "y"), (name, version)
        old = version is not None and version < (5, 4, 0)
        assert (values["UNWINDER_ORC"], values.get("UNWINDER_FRAME_POINTER")) == (("n", "y") if old else ("y", None))
        assert values["OTHER"] == "y"
    assert config.adapt("CONFIG_OTHER=y\n", (4, 4, 0), rules) == "CONFIG_OTHER=y\n"


def test_our_rules_agree_with_the_peer():
    """What ours share with the peer's have its bounds; the three that it has and we do not are named here."""
    theirs = {rule.get("unset", rule.get("replace")): rule.get("below") for rule in peer_rules()}
    ours = {
        rule.get("unset", rule.get("replace")): rule.get("below") for rule in data.load("config_rules.toml")["rule"]
    }
    assert {name: theirs[name] for name in ours} == ours
    # UBSAN: see the file; LOCALVERSION_AUTO and BLK_DEV_INITRD: machine_config.toml, where the second has to be on.
    assert set(theirs) - set(ours) == {"UBSAN", "LOCALVERSION_AUTO", "BLK_DEV_INITRD"}


@pytest.mark.parametrize("number", range(5))
def test_unneeded_instrumentation(number):
    facts = table()["sanitizer_drop"]
    assert len(facts["cases"]) == 5
    case = facts["cases"][number]
    needed = lambda kind: any(is_kind(crash, kind) for crash in case["types"])  # noqa: E731
    text, dropped = drop_unneeded(facts["base_config"], needed)
    before, after = read_config(facts["base_config"]), read_config(text)
    groups = {row["needed_if_type_group"].removeprefix("Is"): row["unset"] for row in facts["categories"].values()}
    gone = {name for kind, names in groups.items() if not needed(kind) for name in names if name in before}
    assert {name for name in before if after[name] == "n"} == gone
    assert all(after[name] == "y" for name in case["still_yes"])
    assert bool(dropped) == bool(gone)
    if "cmdline" in case:
        assert after["CMDLINE"] == case["cmdline"]
    assert drop_unneeded(text, needed) == (text, [])


def test_no_parameter_twice():
    case = table()["sanitizer_drop"]["no_double_suppress"]
    text, _ = drop_unneeded(case["config"], lambda kind: any(is_kind(crash, kind) for crash in case["types"]))
    assert read_config(text)["CMDLINE"] == case["cmdline"]
    without = "CONFIG_CMDLINE=unquoted\nCONFIG_KASAN=y\n"
    assert read_config(drop_unneeded(without, lambda _: False)[0]) == {"CMDLINE": "unquoted", "KASAN": "n"}
