"""fleet.toml: what may stand in it, and which tenants it finds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from migrate.errors import ConfigError
from migrate.fleet.settings import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tenants").mkdir()
    for name in ("fabrikam", "contoso"):
        (tmp_path / "tenants" / f"{name}.toml").write_text("")
    return tmp_path


def written(folder: Path, text: str = 'tenants = "tenants/*.toml"\n') -> Path:
    (folder / "fleet.toml").write_text(text)
    return folder / "fleet.toml"


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_tenants_are_called_by_their_files_and_stand_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    found = load(written(folder))
    assert [(each.name, each.path) for each in found.tenants] == [
        ("contoso", folder / "tenants/contoso.toml"), ("fabrikam", folder / "tenants/fabrikam.toml"),
    ]  # fmt: skip
    assert (found.parallel, found.limit, found.apart, found.reports) == (
        4, timedelta(hours=12), timedelta(minutes=10), folder / "reports",
    )  # fmt: skip


def test_a_file_called_config_is_called_by_its_folder(folder: Path) -> None:
    for name in ("adatum", "litware"):
        (folder / name).mkdir()
        (folder / name / "config.toml").write_text("")
    assert [each.name for each in load(written(folder, 'tenants = "*/config.toml"\n')).tenants] == ["adatum", "litware"]


def test_the_fleet_itself_is_no_tenant(folder: Path) -> None:
    (folder / "contoso.toml").write_text("")
    assert [each.name for each in load(written(folder, 'tenants = "*.toml"\n')).tenants] == ["contoso"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "tenants: is missing. It begins with a line such as"),
        ('tenant = "tenants/*.toml"\ntenants = "tenants/*.toml"\n', "tenant: is no setting; did you mean tenants?"),
        ('tenants = "tenants/*.toml"\nparalel = 3\n', "paralel: is no setting; did you mean parallel?"),
        ('tenants = "tenants/*.toml"\n[reports]\nfolder = "x"\n', "[reports] folder: is no setting; those here are dir."),
        (
            'tenants = "tenants/*.toml"\n[zebra]\n',
            "zebra: is no setting; those here are tenants, parallel, limit_hours, apart_minutes, reports",
        ),
        ('tenants = "tenants/*.toml"\nparallel = 0\n', "parallel: should be greater than or equal to 1."),
        ('tenants = "tenants/*.toml"\nparallel = "4"\n', "parallel: should be a valid integer."),
        ('tenants = ["a.toml"]\n', "tenants: should be a valid string."),
        ('tenants = " "\n', "tenants: has nothing in it."),
        ('tenants = "tenants/*.toml\n', "is not valid TOML"),
        ('tenants = "elsewhere/*.toml"\n', "tenants: is 'elsewhere/*.toml', and no file is called so. The pattern starts at "),
    ],
)
def test_what_cannot_be_used_is_told_by_its_key(folder: Path, text: str, said: str) -> None:
    told = refusal(written(folder, text))
    assert told.startswith(str(folder / "fleet.toml"))
    assert said in told


def test_several_errors_are_told_at_once(folder: Path) -> None:
    told = refusal(written(folder, "parallel = 0\n[reports]\ndirs = 'x'\n"))
    assert told.splitlines()[0].endswith("3 settings cannot be used as they stand.")
    assert "  [reports] dirs is no setting; did you mean dir?" in told.splitlines()


def test_no_two_tenants_have_one_name(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "contoso.toml").write_text("")
    assert "finds two tenants that are called 'contoso': " in refusal(written(folder, 'tenants = "*/*.toml"\n'))


def test_a_fleet_that_is_not_there_says_how_to_name_one(tmp_path: Path) -> None:
    assert "there is no such file. Name the fleet's with --fleet." in refusal(tmp_path / "fleet.toml")


def test_only_some_of_them_by_name(folder: Path) -> None:
    found = load(written(folder))
    assert [each.name for each in found.only(["fabrikam"])] == ["fabrikam"]
    assert len(found.only([])) == 2
    with pytest.raises(ConfigError, match=r"--only: no tenant of .* is called 'contso'. Did you mean contoso\?"):
        found.only(["contso"])
    with pytest.raises(ConfigError, match=r"There are contoso, fabrikam\."):
        found.only(["zebra"])
