"""The parts of the bootstrap that install nothing, and who refuses what."""

import functools
import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import bootstrap
import pytest
from project import ROOT


def test_pips_index_holds_for_uv_unless_uv_has_its_own():
    env = bootstrap.environment(
        {
            "PIP_INDEX_URL": "https://index.example/simple",
            "PIP_FIND_LINKS": "/wheels  /more",
            "PIP_EXTRA_INDEX_URL": "https://a.example https://b.example",
            "UV_EXTRA_INDEX_URL": "https://own.example",
            "PYTHONPATH": "/elsewhere",
        }
    )
    assert env["UV_INDEX_URL"] == "https://index.example/simple"
    assert env["UV_FIND_LINKS"] == "/wheels,/more"
    assert env["UV_EXTRA_INDEX_URL"] == "https://own.example"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert "PYTHONPATH" not in env


def test_uvs_index_holds_for_the_question_to_pip():
    env = bootstrap.environment({"UV_FIND_LINKS": "/wheels,/more", "UV_DEFAULT_INDEX": "https://i"})
    assert env["PIP_FIND_LINKS"] == "/wheels /more"
    assert env["PIP_INDEX_URL"] == "https://i"


def test_the_pin_of_torch_is_found_and_not_that_of_torchvision():
    lock = "torchvision==0.28.0\n# torch==1\ntorch==2.13.0 ; python_version >= '3.11'\n"
    assert bootstrap.pinned(lock, "torch") == "torch==2.13.0"
    assert bootstrap.pinned("numpy==2.0\n", "torch") is None
    assert bootstrap.pinned(bootstrap.LOCK.read_text(encoding="utf-8"), "torch")


@pytest.mark.parametrize(("n_bytes", "text"), [(192_000_000, "192 MB"), (2_640_000_000, "2.6 GB")])
def test_sizes_as_people_read_them(n_bytes, text):
    assert bootstrap.gigabytes(n_bytes) == text


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "a wheel.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("module.py", "0" * 5000)
    return path


def test_the_size_of_a_wheel_on_this_machine(wheel):
    assert bootstrap.sizes_of(wheel.as_uri()) == (wheel.stat().st_size, 5000)


def test_the_size_of_a_wheel_elsewhere_is_asked_for_without_fetching_it(wheel):
    class Quiet(SimpleHTTPRequestHandler):
        do_GET = None

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(wheel.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a%20wheel.whl"
        n_bytes, n_installed = bootstrap.sizes_of(url, ssl.create_default_context())
        server.shutdown()
    assert n_bytes == wheel.stat().st_size
    assert n_installed == int(bootstrap.UNPACKED * n_bytes)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """The bootstrap of a project without .venv."""
    (tmp_path / "requirements.lock").write_text("torch==2.13.0\n", encoding="utf-8")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "LOCK", tmp_path / "requirements.lock")
    return tmp_path


def test_a_disk_that_is_too_small_is_refused(fresh, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "torch_cost", lambda *_: (3, 10**9, 2 * 10**9))
    monkeypatch.setattr(bootstrap, "free", lambda _: 2 * 10**9)
    with pytest.raises(SystemExit):
        bootstrap.announce_torch({})
    said = capsys.readouterr()
    assert "1.0 GB in 3 wheels" in said.out
    assert said.err == "not enough disk: about 3.0 GB needed, 2.0 GB free\n"


def test_a_size_that_cannot_be_found_out_is_said_in_one_line(fresh, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "torch_cost", lambda *_: "no network")
    monkeypatch.setattr(bootstrap, "free", lambda _: 10**11)
    bootstrap.announce_torch({})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "torch==2.13.0: size not found out (no network); free disk: 100.0 GB"
    assert "PIP_EXTRA_INDEX_URL" in said[1]


def test_a_python_without_venv_is_refused_with_the_package_to_install(fresh, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit):
        bootstrap.make_venv(None, {}, 0)
    message = capsys.readouterr().err
    assert f"python3.{sys.version_info[1]}-venv" in message
    assert message.count("\n") == 1


def test_packages_whose_installation_was_cut_off_are_installed_again(tmp_path):
    for name, files in {
        "whole-1.dist-info": ("METADATA", "RECORD", "INSTALLER"),
        "cut-1.dist-info": ("METADATA",),
        "~ld": ("module.py",),
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    bootstrap.drop_half_installed(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whole-1.dist-info"]


def test_a_current_environment_is_left_alone(tmp_path, monkeypatch):
    source, stamp = tmp_path / "lock", tmp_path / ".installed"
    source.touch()
    monkeypatch.setattr(bootstrap, "SOURCES", (source,))
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    assert not bootstrap.current()
    stamp.touch()
    os.utime(source, (1, 1))
    assert bootstrap.current()
    os.utime(stamp, (0, 0))
    assert not bootstrap.current()


def test_a_failed_command_shows_the_end_of_what_it_said(fresh, capfd):
    command = [sys.executable, "-c", "print('all is lost'); raise SystemExit(3)"]
    with open(os.devnull) as lock, pytest.raises(SystemExit):
        bootstrap.run(command, dict(os.environ), lock.fileno())
    assert "all is lost" in capfd.readouterr().err


def test_the_continuous_integration_script_is_sound():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make on the path")
def test_make_without_a_target_lists_the_targets():
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = ("book", "test", "run", "publish", "serve", "bench", "lint", "sync", "clean", "help")
    for target in targets:
        assert f"make {target} " in done.stdout
