"""What `pie run` says about its own arguments, before anything is loaded."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pie.cli.options import load_settings
from pie.cli.run import Order, check
from pie.cli.run_here import check_name
from pie.cli.run_there import wire_limits
from pie.core.errors import InvalidArgument, NotFound

Pie = Callable[..., subprocess.CompletedProcess[str]]


def order(program: str) -> Order:
    return Order(program, (), {}, read_input=False)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(NotFound, match=r"there is no file nope\.py"):
        check(order("nope.py"), None, None)


def test_a_file_of_another_kind_is_said(tmp_path: Path) -> None:
    (tmp_path / "program.rs").touch()
    with pytest.raises(InvalidArgument, match=r"neither a \.py file nor"):
        check(order(str(tmp_path / "program.rs")), None, None)


def test_a_model_cannot_be_chosen_on_a_server() -> None:
    with pytest.raises(InvalidArgument, match="has loaded its own"):
        check(order("hello"), "some-model", "http://127.0.0.1:8642")


def test_a_mistyped_name_gets_the_closest_one() -> None:
    with pytest.raises(NotFound, match="did you mean text-completion"):
        check_name("text-completon", ["hello", "text-completion"])
    with pytest.raises(NotFound, match="there are hello, text-completion"):
        check_name("zzz", ["hello", "text-completion"])


def test_a_programs_option_among_ours_is_told_where_it_belongs(pie: Pie) -> None:
    done = pie("run", "hello", "--prompt", "x")
    assert done.returncode == 2
    assert "No such option: --prompt" in done.stderr
    assert "pie run PROGRAM -- OPTIONS" in done.stderr


def test_a_mistake_is_told_before_anything_is_fetched_or_built(pie: Pie, tmp_path: Path) -> None:
    for program in ("helo", "nope.py"):
        done = pie("run", program)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "home").exists()


def test_limits_travel_to_a_server_under_the_protocols_names() -> None:
    limits = {"memory_mib": 64, "cpu_seconds": 2.0, "page_limit": 10, "children": 0}
    asked = wire_limits(Order("hello", (), limits, read_input=False, hosts=["*.example.org"]))
    assert asked == {
        "memory_bytes": 64 << 20,
        "cpu_seconds": 2.0,
        "pages": 10,
        "children": 0,
        "hosts": ["*.example.org"],
    }
    assert wire_limits(order("hello")) is None


def test_private_hosts_cannot_be_opened_on_somebody_elses_server() -> None:
    private = Order("hello", (), {}, read_input=False, private_hosts=["localhost:80"])
    with pytest.raises(InvalidArgument, match="--allow-private-host"):
        check(private, None, "http://127.0.0.1:8642")


def test_hosts_in_variables_are_words_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIE_ALLOW_HOSTS", "example.org, *.example.com:*,")
    monkeypatch.setenv("PIE_API_KEYS", '{"secret": "alice"}')
    settings = load_settings()
    assert settings.allow_hosts == ("example.org", "*.example.com:*")
    assert settings.api_keys == {"secret": "alice"}


@pytest.mark.parametrize(
    ("name", "value"), [("api_keys", {"": "alice"}), ("api_keys", {"k": "two words"}), ("store", "nowhere")]
)
def test_settings_that_cannot_be_are_named(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match=f"setting {name}"):
        load_settings(**{name: value})
