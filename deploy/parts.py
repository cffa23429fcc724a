#!/usr/bin/env python3
"""What the program is made of, from Cargo.lock and the crates' own files: a CycloneDX list and the licences.

    parts.py TARGET FOLDER

Writes FOLDER/tollfree.cdx.json (CycloneDX 1.6) and FOLDER/THIRD-PARTY.txt: each crate that is linked into the program
for TARGET, or runs while it is built. The same lock file gives the same bytes. It must not know how a release is packed.
"""

import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What crates call the files with their terms.
TERMS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")


def metadata(target):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(ran.stdout)


def reached(graph, start):
    """The ids of what `start` needs, tests aside, each with the ids it needs itself."""
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    needs, open_ids = {}, [start]
    while open_ids:
        one = open_ids.pop()
        if one in needs:
            continue
        used = [d["pkg"] for d in nodes[one]["deps"] if any(k["kind"] != "dev" for k in d["dep_kinds"])]
        needs[one] = sorted(used)
        open_ids.extend(used)
    return needs


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def expression(package):
    """The licence as SPDX writes it; some crates still write `/` for `or`."""
    return (package["license"] or "").replace("/", " OR ").replace("  ", " ")


def component(package, checksums):
    described = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        described["licenses"] = [{"expression": expression(package)}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def bom(app, foreign, ours, needs, packages, checksums):
    """The list; the workspace's own crates are one component, the program."""

    def outward(ids, seen):
        for one in ids:
            if one in ours and one not in seen:
                seen.add(one)
                yield from outward(needs[one], seen)
            elif one not in ours:
                yield purl(packages[one])

    program = f"pkg:cargo/tollfree@{app['version']}"
    depends = [{"ref": program, "dependsOn": sorted(set(outward([app["id"]], set())))}]
    depends += [{"ref": purl(p), "dependsOn": sorted({purl(packages[n]) for n in needs[p["id"]]})} for p in foreign]
    about = {"type": "application", "bom-ref": program, "name": "tollfree", "version": app["version"], "purl": program}
    about["licenses"] = [{"expression": expression(app)}]
    listed = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": about},
        "components": [component(package, checksums) for package in foreign],
        "dependencies": depends,
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(listed, sort_keys=True))
    return listed | {"serialNumber": f"urn:uuid:{number}"}


def terms(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name.upper().startswith(TERMS))
    texts = [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]
    head = f"{package['name']} {package['version']}: {expression(package) or 'see below'}"
    return "\n\n".join([head, *texts])


def main():
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    graph = metadata(target)
    packages = {package["id"]: package for package in graph["packages"]}
    ours = set(graph["workspace_members"])
    app = next(packages[one] for one in ours if packages[one]["name"] == "app")
    needs = reached(graph, app["id"])
    foreign = [packages[one] for one in needs if one not in ours]
    foreign.sort(key=lambda package: (package["name"], package["version"]))
    with open(ROOT / "Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    checksums = {(one["name"], one["version"]): one.get("checksum") for one in locked}
    folder.mkdir(parents=True, exist_ok=True)
    listed = bom(app, foreign, ours, needs, packages, checksums)
    (folder / "tollfree.cdx.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    line = "\n\n" + "-" * 100 + "\n\n"
    (folder / "THIRD-PARTY.txt").write_text(line.join(map(terms, foreign)) + "\n", encoding="utf-8")
    print(f"{len(foreign)} crates beside our own")


if __name__ == "__main__":
    main()
