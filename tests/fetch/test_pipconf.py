"""pip's configuration is read as pip reads it; where pip is at hand, it is asked for its opinion."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bldr.api import FetchError
from bldr.fetch.pipconf import PipSettings, configuration_files, read_pip_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_DIRS": "/etc/one:/etc/two",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
    }


def write(path: str | Path, text: str) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def read(environ: dict[str, str], tmp_path: Path) -> PipSettings:
    return read_pip_settings(environ, platform="linux", root=str(tmp_path / "root"))


def test_without_any_configuration(environ: dict[str, str], tmp_path: Path) -> None:
    settings = read(environ, tmp_path)
    assert settings == PipSettings()
    assert settings.index_urls == ("https://pypi.org/simple",)


def test_the_places_on_each_system(environ: dict[str, str], tmp_path: Path) -> None:
    home, venv = environ["HOME"], environ["VIRTUAL_ENV"]
    assert configuration_files(environ, "linux", "/r") == [
        "/r/etc/one/pip/pip.conf",
        "/r/etc/two/pip/pip.conf",
        "/r/etc/pip.conf",
        f"{home}/.pip/pip.conf",
        f"{home}/.config/pip/pip.conf",
        f"{venv}/pip.conf",
    ]
    assert configuration_files({**environ, "XDG_CONFIG_HOME": "/x"}, "linux")[-2] == "/x/pip/pip.conf"
    assert configuration_files(environ, "darwin") == [
        "/Library/Application Support/pip/pip.conf",
        f"{home}/.pip/pip.conf",
        f"{home}/.config/pip/pip.conf",
        f"{venv}/pip.conf",
    ]
    assert configuration_files({**environ, "APPDATA": "C:/a"}, "win32") == [
        "C:/ProgramData/pip/pip.ini",
        f"{home}/pip/pip.ini",
        "C:/a/pip/pip.ini",
        f"{venv}/pip.ini",
    ]
    assert configuration_files({**environ, "PIP_CONFIG_FILE": os.devnull}, "linux") == []
    chosen = tmp_path / "chosen.conf"
    chosen.touch()
    files = configuration_files({**environ, "PIP_CONFIG_FILE": str(chosen)}, "linux")
    assert files[-1] == str(chosen)
    assert not any(path.startswith(home) for path in files)


def test_a_later_file_is_stronger_and_variables_are_the_strongest(environ: dict[str, str], tmp_path: Path) -> None:
    urls = []
    for number, place in enumerate(configuration_files(environ, "linux", str(tmp_path / "root"))):
        write(place, f"[global]\nindex-url = https://h{number}/simple\n")
        urls.append(read(environ, tmp_path).index_urls)
    assert urls == [(f"https://h{number}/simple",) for number in range(6)]
    assert read({**environ, "PIP_INDEX_URL": "https://env/"}, tmp_path).index_urls == ("https://env/",)
    assert read({**environ, "PIP_INDEX_URL": ""}, tmp_path).index_urls == ("https://h5/simple",)


def test_the_section_of_the_command_is_stronger_than_global_in_any_file(
    environ: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "root/etc/pip.conf", "[download]\nfind-links = /download\n[install]\nfind-links = /install\n")
    write(tmp_path / "home/.config/pip/pip.conf", "[global]\nfind_links = /global\n")
    assert read(environ, tmp_path).find_links == ("/download",)


def test_lists_are_split_and_replaced_as_a_whole(environ: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / "home/.config/pip/pip.conf",
        "[global]\nextra-index-url =\n    https://b/simple\n    https://a/simple https://b/simple\n"
        "find-links = /one\n    https://two/\ntrusted-host = devpi.example devpi.example:3141\ncert = /ca.pem\n",
    )
    settings = read(environ, tmp_path)
    assert settings.index_urls == ("https://pypi.org/simple", "https://b/simple", "https://a/simple")
    assert settings.find_links == ("/one", "https://two/")
    assert settings.trusted_hosts == {"devpi.example", "devpi.example:3141"}
    assert settings.certificate == "/ca.pem"
    assert read({**environ, "PIP_FIND_LINKS": "/three"}, tmp_path).find_links == ("/three",)


@pytest.mark.parametrize(("value", "urls"), [("1", 0), ("True", 0), ("off", 1), ("no", 1)])
def test_no_index(environ: dict[str, str], tmp_path: Path, value: str, urls: int) -> None:
    assert len(read({**environ, "PIP_NO_INDEX": value}, tmp_path).index_urls) == urls


def test_what_pip_would_refuse_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no-index"):
        read({**environ, "PIP_NO_INDEX": "perhaps"}, tmp_path)
    place = tmp_path / "home/.config/pip/pip.conf"
    write(place, "index-url = https://no.section/\n")
    with pytest.raises(FetchError, match=r"pip's configuration cannot be read: .*no section") as caught:
        read(environ, tmp_path)
    assert caught.value.hint == f"correct {place}"


def test_files_that_cannot_be_opened_are_passed_over_as_pip_does(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "home/.config/pip/pip.conf").mkdir(parents=True)
    assert read(environ, tmp_path) == PipSettings()


# What `pip config list` prints are the values of every file, also those that others override.
ASK_PIP = """
import json
from pip._internal.configuration import Configuration, ConfigurationError

configuration = Configuration(isolated=False)
configuration.load()
values = {}
for section in ("global", "download", ":env:"):
    for name in ("index-url", "extra-index-url", "find-links"):
        try:
            values[name] = configuration.get_value(f"{section}.{name}")
        except ConfigurationError:
            pass
print(json.dumps(values))
"""


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this Python has no pip to compare with")
def test_pip_has_the_same_opinion(environ: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / "home/.pip/pip.conf",
        "[global]\nindex-url = https://legacy/simple\nfind-links = /legacy\n[download]\nextra-index-url = https://x/ https://y/\n",
    )
    write(tmp_path / "home/.config/pip/pip.conf", "[global]\nindex-url = https://user/simple\n")
    chosen = tmp_path / "chosen.conf"
    write(chosen, "[global]\nfind-links = /chosen\nindex-url = https://chosen/simple\n")
    for extra in (
        {},
        {"PIP_CONFIG_FILE": str(chosen)},
        {"PIP_CONFIG_FILE": os.devnull},
        {"PIP_FIND_LINKS": "/a /b", "PIP_INDEX_URL": "https://env/simple"},
        {"XDG_CONFIG_HOME": str(tmp_path / "elsewhere")},
    ):
        # pip takes its own interpreter's prefix for the environment.
        variables = {**environ, "VIRTUAL_ENV": sys.prefix, "XDG_CONFIG_DIRS": str(tmp_path), **extra}
        told = subprocess.run([sys.executable, "-c", ASK_PIP], env=variables, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        values = json.loads(told.stdout)
        settings = read_pip_settings(variables)
        assert settings.index_urls[0] == values.get("index-url", "https://pypi.org/simple"), extra
        assert " ".join(settings.index_urls[1:]) == values.get("extra-index-url", "").replace("\n", " "), extra
        assert " ".join(settings.find_links) == values.get("find-links", ""), extra
