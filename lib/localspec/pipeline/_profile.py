"""Profiles: which networks, which seeds, and the settings of every section.

A profile is a YAML file in ``notebooks/profiles``. Each section of the book has one model in
:mod:`localspec.pipeline._sections`. Unknown keys, keys that stand twice, wrong types and values out
of range are refused before any work starts.

A profile can take over networks of another profile in its folder: all of them, if it says
``extends: mnist``, or one of them, if a network says ``extends: mnist/mlp``. Its own network of the
same name, or setting beside ``extends``, wins. Nothing but networks is taken over.

A profile is called what its file is called. Folders and files of results are named after it and
after its networks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, field_validator, model_validator

from localspec._utils.files import check_is_file, project_root
from localspec._utils.validation import Strict, check_option, require, shown
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, TorchvisionSettings
from localspec.pipeline._sections import (
    ALL_PAGES,
    PAGES,
    Method,
    Names,
    Section,
    Seeds,
    YourNetworkSection,
    section_of,
)

TEXT_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")  # the second one is that of <<
TORCHVISION = get_args(TorchvisionSettings.model_fields["architecture"].annotation)
ENDINGS = (".yml", ".yaml")
# far more than any profile needs, and few enough to be read and checked in a moment
MOST_BYTES = 200_000  # of a file
MOST_VALUES = 10_000  # of a file; what an alias stands for counts each time
MOST_LEVELS = 20  # of mappings and lists inside one another
MOST_FILES = 10  # that extend one another


def check_name(role: str, name: str) -> str:
    """Return a name by which results are kept: of a profile or of a network.

    Raises
    ------
    InvalidInputError
        If it could lead out of the folder for results, or hide in it.
    """
    require(
        re.fullmatch(r"\w[\w.-]{0,99}", name) is not None
        and not name.endswith(ENDINGS)
        and name != "artifacts",  # the folder of them lies beside those of profiles
        f"{shown(name)} is not a {role}'s name: it is made of at most 100 letters, digits, dots, "
        "underscores and hyphens, begins with a letter, a digit or an underscore, has no ending "
        ".yml, and is not 'artifacts' (a profile is named like its file in notebooks/profiles, "
        "without the ending)",
    )
    return name


class Resources(Strict):
    """What one job asks of a cluster."""

    mem_mb: Annotated[int, Field(strict=True, ge=1)] | None = None
    runtime: Annotated[int, Field(strict=True, ge=1)] | None = None  # minutes
    gpu: Annotated[int, Field(strict=True, ge=0)] | None = None


class Profile(Strict):
    """Networks x seeds x the settings of the method."""

    name: str
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    pages: Names = list(PAGES)
    networks: Annotated[dict[str, NetworkSettings], Field(min_length=1)]
    seeds: Seeds
    method: Method = Method()
    sections: dict[str, dict[str, Any]] = {}  # page -> its own values, above all others
    published_networks: list[str] = []  # whose weights are published beside the pages
    published_seeds: Seeds | None = None  # of these networks; all unless given
    your_network: YourNetworkSection = YourNetworkSection()
    resources: dict[Literal["train", "replicate", "page"], Resources] = {}  # by kind of job

    @field_validator("networks", mode="before")
    @classmethod
    def _torchvision_opened(cls, networks: Any) -> Any:
        def settings_of(network: Any) -> Any:
            opened = isinstance(network, dict) and network.get("architecture") in TORCHVISION
            return TorchvisionSettings(**network) if opened else network

        if not isinstance(networks, dict):
            return networks
        return {name: settings_of(network) for name, network in networks.items()}

    @model_validator(mode="after")
    def _names_are_plain(self) -> Profile:
        check_name("profile", self.name)
        for name in self.networks:
            check_name("network", name)
        return self

    @model_validator(mode="after")
    def _pages_exist(self) -> Profile:
        for page in self.pages:
            check_option("page", page, ALL_PAGES)
        for page, own in self.sections.items():
            check_option(
                "page of sections", page, [name for name in ALL_PAGES if name[0].isdigit()]
            )
            require(
                "profile" not in own,
                f"sections.{page}.profile = {shown(own.get('profile'))}: a page is of the "
                "profile in whose file it stands; leave it out",
            )
            self.parameters(page)
        return self

    @model_validator(mode="after")
    def _published_networks_exist(self) -> Profile:
        for name in self.published_networks:
            check_option("network of published_networks", name, self.networks)
        for seed in self.published_seeds or ():
            check_option("seed of published_seeds", seed, self.seeds)
        return self

    @model_validator(mode="after")
    def _networks_with_published_figures_exist(self) -> Profile:
        published = [
            name for name, network in self.networks.items() if network.published is not None
        ]
        for name, network in self.networks.items():
            if network.diagnoses is not None:
                check_option(f"network that {name} diagnoses", network.diagnoses, published)
        require(
            "10_published" not in self.pages or len(published) > 0,
            "page 10_published compares networks with published figures, and no network has any: "
            "give one the setting `published`, or leave out the page",
        )
        return self

    @model_validator(mode="after")
    def _clusters_fit(self) -> Profile:
        if set(self.pages) - {"01_training"}:
            self.check_clusters(self.method.n_clusters)
        return self

    @model_validator(mode="after")
    def _precision_fits(self) -> Profile:
        for name, network in self.networks.items():
            if network.precision == "bfloat16" and self.dtype == "float64":
                raise ValueError(
                    f"precision 'bfloat16' of network {name!r} has no effect on float64: use "
                    "dtype 'float32' or precision 'full'"
                )
        return self

    def check_clusters(self, n_clusters: int) -> None:
        """Refuse more clusters than the tested layers of one of the networks have units."""
        for name, network in self.networks.items():
            if n_clusters > network.n_tested_units:
                raise InvalidInputError(
                    f"n_clusters = {n_clusters}, but network {name!r} has {network.n_tested_units} "
                    "units in its tested layers: ask for at most so many"
                )

    def parameters(self, page: str) -> dict[str, Any]:
        """Return the parameters that this profile gives to the notebook of `page`.

        Raises
        ------
        InvalidInputError
            If there is no such page.
        """
        section = section_of(page)
        if section is YourNetworkSection:
            return self.your_network.model_dump(mode="json")
        shared = {"profile": self.name, "networks": list(self.networks), "seeds": self.seeds}
        method = self.method.model_dump()
        fields = {name: method[name] for name in section.model_fields if name in method}
        own = self.sections.get(page, {})
        values = shared | fields | own
        return section(**values).model_dump(mode="json")

    def select(self, section: Section) -> Profile:
        """Return this profile with the choices of one notebook's parameters.

        Raises
        ------
        InvalidInputError
            If the notebook names a network that the profile does not have.
        """
        networks = {
            name: self.networks[check_option("network", name, self.networks)]
            for name in section.networks
        }
        settings = self.method.model_dump() | section.method()
        changes = {"networks": networks, "seeds": section.seeds, "method": Method(**settings)}
        return self.model_copy(update=changes)


class _Loader(yaml.SafeLoader):
    """YAML's loader, which refuses what YAML allows and no profile needs.

    Keys that are no text or stand twice, of which YAML takes the last; and more values or levels
    than there can be, or aliases that stand for ever more of them.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.level = self.n_values = 0
        self.sizes: dict[yaml.Node, int] = {}  # values in each part that is complete

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        where = f"line {event.start_mark.line + 1}"
        before = self.n_values
        self.level += 1
        self.n_values += 1
        require(
            self.level <= MOST_LEVELS, f"{where} is more than {MOST_LEVELS} levels deep: flatten it"
        )
        node = super().compose_node(parent, index)
        self.level -= 1
        if isinstance(event, yaml.AliasEvent):
            require(node in self.sizes, f"{where}: *{event.anchor} stands inside of itself")
            self.n_values += self.sizes[node]
        else:
            self.sizes[node] = self.n_values - before
        require(
            self.n_values <= MOST_VALUES,
            f"up to {where} there are more than {MOST_VALUES:,} values: leave some out",
        )
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (InvalidInputError, yaml.YAMLError):
            raise
        except Exception as error:  # whatever Python raises where a value does not fit its tag
            raise InvalidInputError(
                f"{shown(node.value)} in line {node.start_mark.line + 1} is no "
                f"{node.tag.rpartition(':')[2]} that can be read: put it into quotes if it is text"
            ) from error

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag not in TEXT_TAGS or not isinstance(key, yaml.ScalarNode):
                raise InvalidInputError(f"the key in line {line} is no text: put it into quotes")
            if key.value in lines:
                raise InvalidInputError(
                    f"key {key.value!r} stands in line {lines[key.value]} and again in line "
                    f"{line}: remove one of them"
                )
            lines[key.value] = line
        return node


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a profile's file as it stands there."""
    try:
        check_is_file(path)
        with open(path, "rb") as file:
            text = file.read(MOST_BYTES + 1)
        require(len(text) <= MOST_BYTES, f"it has more than {MOST_BYTES:,} bytes: is it another?")
        content = yaml.load(text.decode(), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"cannot read the profile {path}: {error}; save it as text in UTF-8"
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidInputError(f"cannot read the profile {path}: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{path} must hold a mapping of settings, not {shown(content)}")
    return content


def _file_in(folder: Path, name: object, role: str) -> Path:
    """Return the file of the profile `name` in `folder`, or refuse the name in its `role`."""
    available = sorted(file.stem for file in folder.glob("*.yml"))
    return folder / f"{check_option(role, name, available)}.yml"


def _load(path: Path, extending: tuple[Path, ...] = ()) -> Profile:
    """Load the profile of a file; the files `extending` lead to it, each extends the next one."""
    if path in extending:
        chain = " -> ".join(file.stem for file in (*extending, path))
        raise InvalidInputError(
            f"profile {path} extends itself: {chain}; take one of these `extends` away"
        )
    require(
        len(extending) < MOST_FILES,
        f"profile {path} extends others over more than {MOST_FILES} files: let it extend the last "
        "of them",
    )
    name, content = check_name("profile", path.stem), _read(path)
    if content.setdefault("name", name) != name:
        raise InvalidInputError(
            f"profile {path}: name = {shown(content['name'])} is not its file's: a profile is "
            "named like its file; leave it out"
        )
    bases: dict[Path, Profile] = {}

    def networks_of(base: object) -> dict[str, NetworkSettings]:
        file = _file_in(path.parent, base, f"profile that {path} extends")
        if file not in bases:
            bases[file] = _load(file, (*extending, path))
        return bases[file].networks

    def completed(name: str, settings: Any) -> Any:
        if not isinstance(settings, dict) or "extends" not in settings:
            return settings
        extends = settings["extends"]
        base, slash, network = extends.partition("/") if isinstance(extends, str) else ("", "", "")
        if not slash:
            raise InvalidInputError(
                f"network {name!r} of {path} extends {shown(extends)}: name a profile "
                "and one of its networks, such as mnist/mlp"
            )
        networks = networks_of(base)
        check_option(f"network of {base} that {name} of {path} extends", network, networks)
        changes = {key: value for key, value in settings.items() if key != "extends"}
        return networks[network].model_dump(exclude_unset=True) | changes

    networks = networks_of(content.pop("extends")) if "extends" in content else {}
    own = content.get("networks", {})
    if isinstance(own, dict):  # Profile refuses anything else
        networks = networks | {name: completed(name, settings) for name, settings in own.items()}
        if networks:
            content["networks"] = networks
    try:
        return Profile(**content)
    except InvalidInputError as error:
        raise InvalidInputError(f"profile {path}: {error}") from error


def load_profile(name: str | Path) -> Profile:
    """Load a profile, with the networks that it takes over from others in its folder.

    Parameters
    ----------
    name : str or Path
        Name of a file in ``notebooks/profiles`` without its ending, or a path to a YAML file.

    Raises
    ------
    InvalidInputError
        If there is no such profile, it extends itself, or its content is not allowed; the message
        lists what is.
    """
    path = Path(name)
    if path.suffix not in ENDINGS:
        check_name("profile", str(name))
        path = _file_in(project_root() / "notebooks" / "profiles", str(name), "profile")
    return _load(path)
