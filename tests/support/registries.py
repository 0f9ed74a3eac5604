"""A package index of Python and a registry of npm: files below the root of a web server.

Each has one package, `greeting`, whose text says where it came from.
"""

import json
import shutil
import subprocess


def make_pypi(www, url):
    """`simple/` below `www`, which is served at `url`."""
    source = www.parent / "package"
    (source / "greeting").mkdir(parents=True)
    (source / "greeting" / "__init__.py").write_text("text = 'from the index'\n")
    (source / "greeting-1.0.dist-info").mkdir()
    info = source / "greeting-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                                "Tag: py3-none-any\n")
    (info / "RECORD").write_text("greeting/__init__.py,,\n")
    folder = www / "simple" / "greeting"
    folder.mkdir(parents=True)
    name = "greeting-1.0-py3-none-any.whl"
    shutil.make_archive(str(folder / name), "zip", source)
    (folder / (name + ".zip")).rename(folder / name)
    (folder / "index.html").write_text(f'<a href="{url}/simple/greeting/{name}">{name}</a>')


def make_npm(www, url):
    """`npm/` below `www`, which is served at `url`."""
    source = www.parent / "npm" / "package"
    source.mkdir(parents=True)
    (source / "package.json").write_text('{"name": "greeting", "version": "1.0.0"}')
    (source / "index.js").write_text("module.exports = 'from the registry'\n")
    (www / "npm").mkdir()
    subprocess.run(["tar", "czf", www / "npm" / "greeting-1.0.0.tgz", "-C", source.parent,
                    "package"], check=True)
    (www / "npm" / "greeting").write_text(json.dumps({
        "name": "greeting", "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {"name": "greeting", "version": "1.0.0",
                               "dist": {"tarball": f"{url}/npm/greeting-1.0.0.tgz"}}}}))
