"""What `pie.toml` says about tenants reaches the rooms that decide."""

from pathlib import Path

import pytest

from pie.cli.options import load_settings
from pie.core.errors import InvalidArgument
from pie.hosting import admission_settings, control_settings, default_limits

TOML = """
quota_seconds = 86400
token_limit = 200000
launch_queue = 7

[api_keys]
"secret" = "alice"
"other" = "bob"

[tenants.alice]
weight = 2
share = 0.25
tokens = 5e6
programs = 100
"""


def test_tenants_have_weights_shares_and_quotas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pie.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    control, admission = control_settings(settings), admission_settings(settings)
    assert (control.weights["alice"], control.quota_seconds) == (2, 86400)
    assert (control.quotas["alice"].tokens, control.quotas["alice"].programs) == (5e6, 100)
    assert (admission.queue, admission.share, admission.shares) == (7, 0.5, {"alice": 0.25})
    assert default_limits(settings).tokens == 200000


def test_a_tenant_alone_has_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for keys in ({}, {"secret": "alice"}):
        assert admission_settings(load_settings(api_keys=keys)).share == 1
    assert admission_settings(load_settings(api_key="mine", api_keys=keys)).share == 0.5


def test_an_unknown_quota_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pie.toml").write_text("[tenants.alice]\ntoken = 5\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match=r"tenants\.alice\.token"):
        load_settings()
