"""The 1,000 classes of ImageNet with names and groups, from WordNet's nouns.

Usage: python benchmarks/imagenet_classes.py WNIDS
    WNIDS is a folder with one folder a class, as imagenet-sample/val; the table is written into
    lib/localspec/data/imagenet_classes.csv

The identifier of a class is the place of its noun in WordNet 3.0, whose files Debian's package
wordnet-base puts into /usr/share/wordnet (WORDNET names another folder). A group is the most
specific hypernym (the more general noun that WordNet names first) with at least LEAST classes that
are in no more specific group; what is left over at the root is a group, too. LEAST was chosen
before anything was measured with these groups.
"""

import csv
import os
import sys
from collections import Counter
from pathlib import Path

TABLE = Path(__file__).parents[1] / "lib" / "localspec" / "data" / "imagenet_classes.csv"
WORDNET = Path(os.environ.get("WORDNET", "/usr/share/wordnet"))
COPYRIGHT = WORDNET.parent / "doc" / "wordnet-base" / "copyright"
LEAST = 40  # classes of a group, but for that at the root


def nouns(path: Path) -> dict[str, tuple[str, str | None]]:
    """Return the first word and the first hypernym of each set of synonyms, by its offset."""
    found = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition(" | ")[0].split()
        pointers = fields[5 + 2 * int(fields[3], 16) :]  # after the words, four fields each
        above = [
            pointers[at + 1] for at in range(0, len(pointers), 4) if pointers[at] in ("@", "@i")
        ]
        found[fields[0]] = fields[4].replace("_", " "), above[0] if above else None
    return found


def groups(paths: dict[str, list[str]], least: int) -> dict[str, str]:
    """Return the group of each class, whose hypernyms are given from itself to the root."""
    depths = {noun: len(path) - at for path in paths.values() for at, noun in enumerate(path)}
    chosen: dict[str, str] = {}
    for noun in sorted(depths, key=lambda noun: (-depths[noun], noun)):  # the most specific first
        left = [name for name, path in paths.items() if noun in path and name not in chosen]
        if len(left) >= least or depths[noun] == 1:
            chosen |= dict.fromkeys(left, noun)
    return chosen


def main(folder: str) -> None:
    known = nouns(WORDNET / "data.noun")
    classes = sorted(path.name.removeprefix("n") for path in Path(folder).iterdir())
    paths: dict[str, list[str]] = {}
    for name in classes:
        paths[name] = [name]
        while (above := known[paths[name][-1]][1]) is not None:
            paths[name].append(above)
    chosen = groups(paths, LEAST)
    licence = COPYRIGHT.read_text(encoding="utf-8").split("License: WordNet3.0\n")[1]
    notice = [
        "Made from the nouns of WordNet 3.0 by benchmarks/imagenet_classes.py.",
        "",
        *(line[1:].removeprefix(".") for line in licence.split("\n\n")[0].splitlines()),
    ]
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {line}".rstrip() + "\n" for line in notice)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["wnid", "name", "group"])
        writer.writerows([f"n{name}", known[name][0], known[chosen[name]][0]] for name in classes)
    for group, size in Counter(known[group][0] for group in chosen.values()).most_common():
        print(f"{size:4} {group}")


if __name__ == "__main__":
    main(sys.argv[1])
