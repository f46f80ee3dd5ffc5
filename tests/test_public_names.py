"""The public face: what `import localspec` gives, and what it must not need."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import localspec
import localspec.studies


def public(package):
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if not name.startswith("_")]


ROOMS = public(localspec)
STUDIES = [f"studies.{name}" for name in public(localspec.studies)]
DOORS = ["", *(room for room in ROOMS if room != "studies"), *STUDIES]
UPSTAIRS = ("matplotlib", "papermill", "click", "snakemake", "jinja2", "localspec.pipeline")


def test_importing_the_library_needs_nothing_of_the_notebooks():
    asked = f"import localspec, sys; print([m for m in {UPSTAIRS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("room", DOORS)
def test_public_names_are_there_once_and_documented(room):
    module = importlib.import_module(".".join(filter(None, ("localspec", room))))
    assert module.__doc__
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), f"{name} has no docstring"


def test_the_map_of_the_package_names_every_room():
    assert all(f"localspec.{room} " in localspec.__doc__ for room in ROOMS)
