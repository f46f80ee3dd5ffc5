"""Make the environment in .venv from requirements.lock, or repair one that was left half-made.

Usage: python3 tools/bootstrap.py   (Python >= 3.11 and nothing else; `make` calls it)

Uses uv where it is on the path, else venv and pip, with the package index the user set: pip's
variables PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS and the like hold for uv as well,
which knows only its own. Says before torch is fetched what that costs. Writes .venv/.installed
last: as long as that file is missing, everything is checked and installed again.
"""

import fcntl
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / ".installed"
STARTED = VENV / ".installing"
SOURCES = (LOCK, ROOT / "pyproject.toml")

GIGABYTE = 10**9
REST = 1.0 * GIGABYTE  # everything but torch and what it needs, measured: 0.9 GB installed
UNPACKED = 2.5  # installed size over that of a wheel that is not at hand to look into; a guess
PIP_WITH_REPORTS = "pip>=23.2"  # reads metadata without fetching whole wheels

# pip's variable -> uv's, and how uv separates several values
FOR_UV = {
    "PIP_CERT": ("SSL_CERT_FILE", " "),
    "PIP_DEFAULT_TIMEOUT": ("UV_HTTP_TIMEOUT", " "),
    "PIP_EXTRA_INDEX_URL": ("UV_EXTRA_INDEX_URL", " "),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS", ","),
    "PIP_INDEX_URL": ("UV_INDEX_URL", " "),
    "PIP_NO_INDEX": ("UV_NO_INDEX", " "),
    "PIP_TRUSTED_HOST": ("UV_INSECURE_HOST", " "),
}
# uv's variable -> pip's, for the question what torch costs, which only pip answers
FOR_PIP = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX_URL": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_EXTRA_INDEX_URL": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS",
}


def refuse(message):
    print(message, file=sys.stderr)
    raise SystemExit(1)


def say(message):
    print(message, flush=True)


def gigabytes(n_bytes):
    return f"{n_bytes / GIGABYTE:.1f} GB" if n_bytes >= GIGABYTE else f"{n_bytes / 1e6:.0f} MB"


def environment(base):
    """Return the environment for pip and uv: `base` with each one's variables for the other."""
    result = dict(base)
    for theirs, (ours, separator) in FOR_UV.items():
        if base.get(theirs) and not base.get(ours):
            result[ours] = separator.join(base[theirs].split())
    # as pip does: the best version of all indexes, not all versions of the first that has any
    result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    for theirs, ours in FOR_PIP.items():
        if base.get(theirs) and not result.get(ours):
            result[ours] = base[theirs].replace(",", " ")
    result.update(PIP_NO_INPUT="1", PIP_ROOT_USER_ACTION="ignore")
    result.pop("PYTHONPATH", None)  # packages found there would count as installed
    return result


def pinned(lock_text, name):
    """Return the line of the lock that pins `name`, without its marker."""
    for line in lock_text.splitlines():
        requirement = line.split(";")[0].split("#")[0].strip()
        if requirement.split("==")[0] == name:
            return requirement
    return None


def python_of(venv):
    return venv / "bin" / "python"


def answer(command, **options):
    """Return what a command printed, or None where it could not be run or failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def make_venv(uv, env, lock):
    """Make .venv where there is none that works; `uv` is its path or None."""
    asked = "import sys; print(*sys.version_info[:2])"
    version = answer([str(python_of(VENV)), "-c", asked])
    if version is not None and tuple(map(int, version.split())) < (3, 11):
        refuse(f".venv holds Python {'.'.join(version.split())}; 3.11 is needed: remove .venv")
    has_pip = version and answer([str(python_of(VENV)), "-m", "pip", "--version"], env=env)
    if has_pip:
        return
    if not uv and not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        refuse(
            f"{sys.executable} cannot make virtual environments: install its venv module (on "
            f"Debian and Ubuntu: apt install {name}), or uv, or set PYTHON to another Python"
        )
    say("making .venv" if version is None else "repairing .venv")
    if uv:
        command = [uv, "venv", "--quiet", "--seed", "--allow-existing", "--python", sys.executable]
        run([*command, str(VENV)], env, lock)
    else:
        # what a killed attempt left is cleared
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], env, lock)


def drop_half_installed(site_packages):
    """Remove what marks packages as installed where their installation was cut off.

    pip writes RECORD last. Without this it would take such a package for installed.
    """
    for folder in site_packages.glob("*.dist-info"):
        if not (folder / "RECORD").is_file() or not (folder / "INSTALLER").is_file():
            shutil.rmtree(folder)
    for folder in site_packages.glob("~*"):  # pip's half-removed packages
        shutil.rmtree(folder, ignore_errors=True)


def run(command, env, lock):
    """Run a command without a word unless it fails; then show the end of what it said."""
    with subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock],  # it may outlive us: the lock then stays with it
    ) as process:
        said = []
        for line in process.stdout:
            said = [*said[-30:], line.rstrip()]
            show_progress(line)
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    if process.returncode:
        print("\n".join(said[-15:]), file=sys.stderr)
        refuse(f"this failed: {' '.join(map(str, command))}")


def show_progress(line):
    """On a terminal, show what pip is at in one line that is written over."""
    words = line.split()
    doing = ("Collecting", "Downloading", "Using", "Processing", "Building", "Installing")
    if words and words[0] in doing and sys.stdout.isatty():
        print("\r\033[K  " + " ".join(words)[:70], end="", flush=True)


def download_urls(report):
    """Return the addresses of what a report of `pip install --dry-run --report` would fetch."""
    return [item["download_info"]["url"] for item in report["install"]]


def sizes_of(url, context=None):
    """Return the bytes of the wheel at `url`, here or elsewhere, and of what it unpacks to."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        path = urllib.request.url2pathname(parts.path)
        with zipfile.ZipFile(path) as wheel:
            return os.stat(path).st_size, sum(item.file_size for item in wheel.infolist())
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=20, context=context) as response:
        n_bytes = int(response.headers["Content-Length"])
    return n_bytes, int(UNPACKED * n_bytes)


def torch_cost(requirement, env):
    """Return files, bytes to fetch and bytes installed of torch and its needs, or why not."""
    pip = [str(python_of(VENV)), "-m", "pip"]
    answer([*pip, "install", "-q", PIP_WITH_REPORTS], env=env, timeout=120)
    report = answer(
        [*pip, "install", "-q", "--dry-run", "--report", "-", requirement], env=env, timeout=180
    )
    if report is None:
        return "pip could not look it up"
    try:
        urls = download_urls(json.loads(report))
        context = ssl.create_default_context(cafile=env.get("PIP_CERT") or env.get("SSL_CERT_FILE"))
        with ThreadPoolExecutor(8) as pool:
            sizes = list(pool.map(lambda url: sizes_of(url, context), urls))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        return f"{type(error).__name__}: {error}"
    return len(sizes), sum(fetched for fetched, _ in sizes), sum(unpacked for _, unpacked in sizes)


def free(path):
    return shutil.disk_usage(path).free


def announce_torch(env):
    """Say what fetching torch means and refuse where the disk is too small for it."""
    requirement = pinned(LOCK.read_text(encoding="utf-8"), "torch")
    installed = answer([str(python_of(VENV)), "-m", "pip", "freeze", "--all"], env=env) or ""
    have = pinned(installed, "torch")
    if requirement is None or (have and have.split("+")[0] == requirement):
        return
    cost, here, needed = torch_cost(requirement, env), free(VENV), REST
    if isinstance(cost, str):
        say(f"{requirement}: size not found out ({cost}); free disk: {gigabytes(here)}")
    else:
        n_files, n_bytes, n_installed = cost
        needed += n_installed
        say(
            f"{requirement} and what it needs: {gigabytes(n_bytes)} in {n_files} wheels; about "
            f"{gigabytes(n_installed)} installed, with all the rest {gigabytes(needed)}; "
            f"free disk: {gigabytes(here)}"
        )
    if isinstance(cost, str) or n_bytes > GIGABYTE:
        say(
            "  for a smaller build of torch without CUDA: interrupt, set PIP_EXTRA_INDEX_URL to "
            "the CPU index that torch's installation page names, and start again"
        )
    if here < needed:
        refuse(f"not enough disk: about {gigabytes(needed)} needed, {gigabytes(here)} free")


def install(uv, env, lock):
    """Install the lock, then the project itself by the setuptools that came with the lock."""
    cut_off = STARTED.exists()
    STARTED.touch()
    for folder in VENV.glob("lib/python*/site-packages"):
        drop_half_installed(folder)
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(python_of(VENV))]
        again = ["--reinstall"] if cut_off else []  # uv leaves no trace of what it had not finished
    else:
        command, again = [str(python_of(VENV)), "-m", "pip", "install"], []
    run([*command, *again, "-r", str(LOCK)], env, lock)
    run([*command, "--no-deps", "--no-build-isolation", "-e", "."], env, lock)
    STARTED.unlink()
    STAMP.touch()


def one_at_a_time():
    """Wait for another bootstrap of this project and return the lock, a file descriptor."""
    handle = os.open(str(ROOT), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another installation into .venv")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass
    return handle


def current():
    made = STAMP.stat().st_mtime if STAMP.exists() else 0
    return made > max(path.stat().st_mtime for path in SOURCES)


def main():
    if sys.version_info < (3, 11):  # noqa: UP036 - this is what tells the user
        version = ".".join(map(str, sys.version_info[:3]))
        refuse(f"Python 3.11 or newer is needed and {sys.executable} is {version}: set PYTHON")
    lock = one_at_a_time()
    if current():
        return
    uv, env = shutil.which("uv"), environment(os.environ)
    if STAMP.exists():
        STAMP.unlink()
    make_venv(uv, env, lock)
    announce_torch(env)
    say(f"installing {LOCK.name} with {'uv' if uv else 'pip'}: this may take minutes")
    install(uv, env, lock)
    say("installed into .venv")


if __name__ == "__main__":
    main()
