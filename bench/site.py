#!/usr/bin/env python3
"""Measures the site: the home page with 1,000 channels of which 50 are on air, and playback while passwords are guessed.

    bench/site.py target/release/millrace

Starts the server in a directory of its own, with SQLite. Needs ffmpeg and wrk. Everything stays on 127.0.0.1, and takes
about a minute.
"""

import contextlib
import http.client
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

HTTP, RTMP, OPS = "127.0.0.1:38080", "127.0.0.1:31935", "127.0.0.1:39600"
CHANNELS, ON_AIR, PLAYERS, SECONDS = 1000, 50, 5, 10
PASSWORD = "a long sentence of mine"


class Site:
    """A server, and what its API answers."""

    def __init__(self, program, directory):
        self.program, self.directory, self.process = program, directory, None

    def start(self):
        command = [self.program, "serve", "--http", HTTP, "--rtmp", RTMP, "--ops", OPS, "--data-dir", self.directory]
        out, err = (open(os.path.join(self.directory, name), "a") for name in ("out", "err"))
        # Thumbnails are FFmpeg's work, not the site's.
        self.process = subprocess.Popen(command + ["--set", "thumbnails.enabled=false"], stdout=out, stderr=err)
        wait("the server", lambda: self.answers())

    def answers(self):
        with contextlib.suppress(OSError):
            return self.call("GET", "/api/v1/site")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def call(self, method, path, body=None, cookie=""):
        headers = {"content-type": "application/json", "cookie": cookie}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{HTTP}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null"), answer.headers

    def register(self, handle, link):
        token = link.partition("token=")[2]
        _, headers = self.call("POST", "/api/v1/users", {"handle": handle, "password": PASSWORD, "token": token})
        return headers["set-cookie"].partition(";")[0]

    def make_channels(self):
        """Channels to publish to, by the API, of as many owners as that takes; their stream keys."""
        with open(os.path.join(self.directory, "out")) as out:
            link = re.search(r"/setup\?token=\S+", out.read()).group()
        admin = owner = self.register("ada", link)
        keys = []
        while len(keys) < ON_AIR:
            handle = f"live-{len(keys)}"
            try:
                self.call("POST", "/api/v1/channels", {"handle": handle, "title": f"Live channel {len(keys)}"}, owner)
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    raise
                invitation, _ = self.call("POST", "/api/v1/invitations", {"note": "", "days": 1}, admin)
                owner = self.register(f"owner-{len(keys)}", invitation["path"])
                continue
            found, _ = self.call("GET", f"/api/v1/channels/{handle}/keys", None, owner)
            keys.append(found["items"][0]["key"])
        return keys

    def fill(self):
        """The channels that are off air, straight into the database of a server that is stopped."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.directory, "millrace.db"))) as database:
            database.row_factory = sqlite3.Row
            row = dict(database.execute("SELECT * FROM channels LIMIT 1").fetchone())
            sql = f"INSERT INTO channels ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
            for n in range(CHANNELS - ON_AIR):
                row.update(id=str(uuid.uuid4()), handle=f"off-{n}", title=f"Channel number {n}")
                database.execute(sql, list(row.values()))
            database.commit()


def wait(what, ready, seconds=30):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.1)


def publishers(keys, directory):
    film = os.path.join(directory, "film.flv")
    picture = ["-f", "lavfi", "-i", "testsrc=s=160x90:r=10", "-t", "20", "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, "-g", "20", "-pix_fmt", "yuv420p", film], check=True)
    for key in keys:
        command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", film, "-c", "copy", "-f", "flv"]
        yield subprocess.Popen(
            command + [f"rtmp://{RTMP}/live/{key}"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def play(gaps, over):
    """Plays a stream, and notes how long each of its pictures was waited for."""
    connection = http.client.HTTPConnection(HTTP, timeout=30)
    connection.request("GET", "/live/live-0.flv")
    answer, last = connection.getresponse(), time.monotonic()
    while not over.is_set() and answer.read1(65536):
        now = time.monotonic()
        gaps.append(now - last)
        last = now


def guess(n, statuses):
    # From an address of its own: one address is refused after a few tries, which would cost nothing.
    source = (f"127.9.{n // 250}.{n % 250 + 1}", 0)
    connection = http.client.HTTPConnection(HTTP, timeout=30, source_address=source)
    body = json.dumps({"username": f"user-{n}", "password": "a wrong password"})
    connection.request("POST", "/api/v1/sessions", body, {"content-type": "application/json"})
    statuses.append(connection.getresponse().status)


def playback(guesses_per_second):
    over, statuses, guesses = threading.Event(), [], []
    gaps = [[] for _ in range(PLAYERS)]
    players = [threading.Thread(target=play, args=(of, over)) for of in gaps]
    for player in players:
        player.start()
    begin = time.monotonic()
    for n in range(guesses_per_second * SECONDS):
        time.sleep(max(0.0, begin + n / guesses_per_second - time.monotonic()))
        guesses.append(threading.Thread(target=guess, args=(n, statuses)))
        guesses[-1].start()
    time.sleep(max(0.0, begin + SECONDS - time.monotonic()))
    over.set()
    for thread in players + guesses:
        thread.join()
    # The first pictures come at once, out of the GOP cache.
    waited = sorted(gap * 1000 for of in gaps for gap in of[20:])
    answers = {status: statuses.count(status) for status in sorted(set(statuses))}
    print(
        f"{guesses_per_second} wrong passwords a second: a picture each {waited[len(waited) // 2]:.0f} ms,"
        f" 99 % within {waited[len(waited) * 99 // 100]:.0f} ms, all within {waited[-1]:.0f} ms; answers {answers}"
    )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as directory:
        site, running = Site(os.path.abspath(sys.argv[1]), directory), []
        try:
            site.start()
            keys = site.make_channels()
            site.stop()
            site.fill()
            site.start()
            running.extend(publishers(keys, directory))
            on_air = lambda: len(site.call("GET", "/api/v1/live?limit=100")[0]["items"]) == ON_AIR
            wait("the streams", on_air)
            for _ in range(3):
                subprocess.run(["wrk", "-t1", "-c50", "-d10s", "--latency", f"http://{HTTP}/"], check=True)
            for guesses_per_second in (0, 100, 0):
                playback(guesses_per_second)
        finally:
            for publisher in running:
                publisher.kill()
            if site.process:
                site.stop()


if __name__ == "__main__":
    main()
