#!/usr/bin/env python3
"""Measures lists, search and pages of a site with 100,000 videos, on SQLite and on PostgreSQL.

    cargo build --release -p millrace-server && cargo build -p millrace-store --example fill
    scripts/with-postgres bench/videos.py target/release/millrace target/debug/examples/fill [VIDEOS]

Fills a database in a directory of its own, serves it, and has wrk ask for one kind of page after the other, over
CONNECTIONS connections. Without scripts/with-postgres it is SQLite alone. Everything stays on 127.0.0.1; a database takes some
two minutes to fill, and three to measure.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HTTP, RTMP, OPS = "127.0.0.1:38080", "127.0.0.1:31935", "127.0.0.1:39600"
VIDEOS, CONNECTIONS, SECONDS = 100_000, 4, 8
# As the program that fills makes them: words of which a language has very many, some and few.
COMMON = ["the", "video", "der", "de", "como", "wie", "music", "market"]
SELDOM = ["loka", "miren", "tasvu", "steinber", "waldorf", "leira", "queto", "grehan"]
CHINESE = ["视频", "夜市", "音乐", "美食", "我们", "山水"]
CATEGORIES = ["music", "gaming", "news", "education", "travel"]
ORDERS = ["relevance", "newest", "views"]


def found(**query):
    return "/search?" + urllib.parse.urlencode(query)


def kinds(videos):
    """Kinds of pages, and addresses of each."""
    some = range(0, videos, max(1, videos // 97))
    each = lambda words, **more: [found(q=word, **more) for word in words]
    return {
        "home": ["/"],
        "browse": ["/browse", "/browse?order=views"] + [f"/browse/{category}" for category in CATEGORIES],
        "browse, narrowed": [
            f"/browse{category}?{narrow}"
            for category in ["", *(f"/{category}" for category in CATEGORIES)]
            for narrow in ["language=de", "duration=short", "since=week&order=views", "language=pt&duration=long", "language=fi"]
        ],
        "channel": [f"/@channel-{n}" for n in (0, 1, 2, 5, 10, 50, 100, 500, 1000, 1999)],
        "watch": [f"/w/v{n:010}" for n in some],
        "rare word": each(f"number{n}" for n in some),
        "seldom word": each(SELDOM),
        "common word": each(COMMON),
        "common word, by views": each(COMMON, order="views"),
        "common word, newest": each(COMMON, order="newest"),
        "two letters of a word": each(["th", "vi", "mu", "nu", "ka", "lo"]),
        "two common words": each(["the video", "how to", "video music", "der markt", "música rio"]),
        "common and rare": each(f"video number{n}" for n in some),
        "two Chinese letters": each(CHINESE),
        "longer Chinese": each(["夜市美食", "我们视频", "中国音乐"]),
        "nothing found": each(["zzzz", "video zzzz", "the 夜市 музыка", "没有"]),
        "narrowed": [
            found(q=word, language=language, duration=length, order=order)
            for word in ["video", "music", "夜市"]
            for language in ["", "en", "zh", "de"]
            for length in ["", "short", "long"]
            for order in ORDERS
        ],
        "since a week": each(COMMON + CHINESE, since="week"),
        "API, mixed": [
            "/api/v1/videos?" + urllib.parse.urlencode({"q": word, "sort": order, "limit": 50})
            for word in COMMON + SELDOM + CHINESE
            for order in ORDERS
        ],
        "API, lists": [
            f"/api/v1/videos?limit=50{more}"
            for more in ["", "&sort=views", "&category=music&sort=views", "&channel=channel-0&sort=views"]
        ],
    }


SCRIPT = """
local paths = { %s }
local next = 0
request = function()
    next = next %% #paths + 1
    return wrk.format("GET", paths[next])
end
done = function(summary, latency)
    local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
    io.write(string.format("FIGURES %%d %%.1f %%.1f %%.1f %%d\\n", summary.requests * 1e6 / summary.duration,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000, wrong))
end
"""


def measure(paths, directory):
    script = os.path.join(directory, "paths.lua")
    with open(script, "w") as file:
        file.write(SCRIPT % ", ".join(f'"{path}"' for path in paths))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "10s", "-s", script, f"http://{HTTP}"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(line.split()[1:] for line in shown.splitlines() if line.startswith("FIGURES"))


@contextlib.contextmanager
def served(program, url, directory):
    command = [program, "serve", "--http", HTTP, "--rtmp", RTMP, "--ops", OPS, "--data-dir", directory]
    out, err = (open(os.path.join(directory, name), "a") for name in ("out", "err"))
    process = subprocess.Popen(command + ["--set", f"database.url={url}"], stdout=out, stderr=err)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{HTTP}/readyz", timeout=5).read()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the server does not start: " + open(os.path.join(directory, "err")).read())
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    program, fill = map(os.path.abspath, sys.argv[1:3])
    videos = int(sys.argv[3]) if len(sys.argv) == 4 else VIDEOS
    databases = {"SQLite": "sqlite://millrace.db"}
    if "MILLRACE_TEST_POSTGRES" in os.environ:
        databases["PostgreSQL"] = os.environ["MILLRACE_TEST_POSTGRES"]
    for name, url in databases.items():
        with tempfile.TemporaryDirectory(prefix="millrace-bench-") as directory:
            print(f"{name}:", flush=True)
            subprocess.run([fill, url, directory, str(videos)], check=True)
            with served(program, url, directory):
                print(f"{'':24} {'a second':>9} {'p50, ms':>9} {'p99, ms':>9} {'max, ms':>9} {'wrong':>6}")
                for kind, paths in kinds(videos).items():
                    figures = measure(paths, directory)
                    print(f"{kind:24} {figures[0]:>9} {figures[1]:>9} {figures[2]:>9} {figures[3]:>9} {figures[4]:>6}", flush=True)


if __name__ == "__main__":
    main()
