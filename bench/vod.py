#!/usr/bin/env python3
"""Measures video on demand: playback beside nginx with sendfile, packaging, a cold start, and uploads beside dd.

    bench/vod.py target/release/millrace [play] [package] [cold] [upload]

Starts the servers in a directory of their own (VOD_DIR, or a temporary one), one after the other on core 0, while wrk has
core 1. Needs ffmpeg, wrk, curl and nginx; `cold` needs root, to empty the page cache, and 9 GB of disk. Everything stays on
127.0.0.1.
"""

import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HTTP, RTMP, OPS, NGINX = "127.0.0.1:38080", "127.0.0.1:31935", "127.0.0.1:39600", "127.0.0.1:38081"
NICE = os.environ.get("BENCH_NICE", "-20" if os.geteuid() == 0 else "0")
TURNS, SECONDS = int(os.environ.get("BENCH_TURNS", "5")), 6
PASSWORD = "a long sentence of mine"
TICK = os.sysconf("SC_CLK_TCK")
NGINX_CONF = """
worker_processes 1;
daemon off;
user root;
error_log err.log error;
pid nginx.pid;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  server { listen %s; root %s; }
}
"""


def on_core(core, command):
    return ["nice", "-n", NICE, "taskset", "-c", core, *command]


def wait(what, ready, seconds=60):
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.05)


def listens(address):
    with contextlib.suppress(OSError):
        http.client.HTTPConnection(address, timeout=5).connect()
        return True


class Nginx:
    """nginx over a directory of files."""

    name, address = "nginx", NGINX

    def __init__(self, root):
        self.root = root

    def __enter__(self):
        conf = os.path.join(self.root, "nginx.conf")
        with open(conf, "w") as text:
            text.write(NGINX_CONF % (NGINX, self.root))
        os.chmod(self.root, 0o755)
        self.process = subprocess.Popen(on_core("0", ["nginx", "-p", self.root, "-c", conf]))
        wait("nginx", lambda: listens(NGINX))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Millrace:
    """A site with an administrator, who has a channel."""

    name, address = "millrace", HTTP

    def __init__(self, program, directory, core="0"):
        self.program, self.directory, self.core, self.cookie = program, directory, core, ""

    def __enter__(self):
        os.makedirs(self.directory, exist_ok=True)
        # Nothing is to be encoded meanwhile.
        off = ["--set", "thumbnails.enabled=false", "--set", "transcode.at_once=0"]
        ports = ["--http", HTTP, "--rtmp", RTMP, "--ops", OPS, "--data-dir", self.directory]
        self.out = os.path.join(self.directory, "out")
        command = [self.program, "serve", *ports, *off]
        with open(self.out, "a") as out:
            pinned = on_core(self.core, command) if self.core else command
            self.process = subprocess.Popen(pinned, stdout=out, stderr=out)
        try:
            wait("the server", lambda: self.process.poll() is not None or listens(HTTP))
            if not self.cookie:
                self.set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def set_up(self):
        wait("the setup link", self.setup_token)
        account = {"handle": "ada", "password": PASSWORD, "token": self.setup_token()}
        _, headers = self.call("POST", "/api/v1/users", account)
        self.cookie = headers["set-cookie"].partition(";")[0]
        self.call("POST", "/api/v1/channels", {"handle": "bench", "title": "Bench"})

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def setup_token(self):
        with open(self.out) as out:
            found = re.search(r"/setup\?token=(\S+)", out.read())
        return found and found.group(1)

    def call(self, method, path, body=None, headers=()):
        connection = http.client.HTTPConnection(HTTP, timeout=600)
        said = {"cookie": self.cookie, **dict(headers)}
        if isinstance(body, dict):
            said["content-type"], body = "application/json", json.dumps(body)
        connection.request(method, path, body, said)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]}")
        return text, answer.headers

    def begin(self, size):
        tus = {"tus-resumable": "1.0.0", "upload-length": str(size), "upload-metadata": "visibility cHVibGlj"}
        _, headers = self.call("POST", "/api/v1/uploads", None, tus)
        return headers["location"], headers["millrace-video"]

    def upload(self, path, form=False):
        """Uploads a film as curl does, by tus or as a form; the video's id, and how long it took."""
        begun, at = time.monotonic(), f"http://{HTTP}"
        curl = ["curl", "-sSf", "-H", f"cookie: {self.cookie}", "-H", "expect:"]
        if form:
            command = [*curl, "-F", "visibility=public", "-F", f"file=@{path}", f"{at}/api/v1/videos"]
            answer = subprocess.run(on_core("1", command), check=True, capture_output=True)
            return json.loads(answer.stdout)["id"], time.monotonic() - begun
        place, video = self.begin(os.path.getsize(path))
        tus = ["-H", "tus-resumable: 1.0.0", "-H", "upload-offset: 0"]
        kind = ["-H", "content-type: application/offset+octet-stream"]
        command = [*curl, "-X", "PATCH", *tus, *kind, "-T", path, f"{at}{place}"]
        subprocess.run(on_core("1", command), check=True)
        return video, time.monotonic() - begun

    def publish(self, path):
        """Uploads a film, and waits until anybody may watch it; the video's id."""
        video, _ = self.upload(path)

        def is_out():
            connection = http.client.HTTPConnection(HTTP, timeout=60)
            connection.request("HEAD", f"/videos/{video}")
            return connection.getresponse().status == 200

        wait("the video", is_out)
        return video

    def segments(self, video, track="video"):
        """The paths of a track's segments, with their lengths."""
        text, _ = self.call("GET", f"/videos/{video}/original/{track}.m3u8")
        names = re.findall(r"^[^#\n]+\.m4s", text.decode(), re.M)
        paths = [f"/videos/{video}/original/{name}" for name in names]
        return [(path, len(self.call("GET", path)[0])) for path in paths]


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / TICK
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return own + sum(processor_seconds(child) for child in children.read().split())


def memory(pid):
    """Bytes that a process has in memory now, and had at most since they were last asked for."""
    with open(f"/proc/{pid}/status") as status:
        text = status.read()
    with open(f"/proc/{pid}/clear_refs", "w") as peak:
        peak.write("5")
    return [int(re.search(rf"{name}:\s+(\d+)", text).group(1)) << 10 for name in ("VmRSS", "VmHWM")]


def load(server, requests, directory):
    """What wrk gets with 32 connections that go through the requests (path, Range): requests, Gbit/s, cpu-s/GB."""
    script = os.path.join(directory, "requests.lua")
    with open(script, "w") as lua:
        entries = [f'wrk.format("GET", "{path}", {{{f"Range={json.dumps(part)}" if part else ""}}})' for path, part in requests]
        lua.write(f"local r, n\nfunction init()\n  r, n = {{{', '.join(entries)}}}, 0\nend\n")
        lua.write("function request()\n  n = n % #r + 1\n  return r[n]\nend\n")
        lua.write("function done(summary)\n  local e = summary.errors\n")
        lua.write('  print("RESULT", summary.requests, summary.bytes, summary.duration, e.status + e.read + e.write)\nend\n')
    before = processor_seconds(server.process.pid)
    command = ["wrk", "-t1", "-c32", f"-d{SECONDS}s", "-s", script, f"http://{server.address}"]
    text = subprocess.run(on_core("1", command), check=True, capture_output=True, text=True).stdout
    spent = processor_seconds(server.process.pid) - before
    count, size, duration, errors = map(int, re.search(r"RESULT\t(\d+)\t(\d+)\t(\d+)\t(\d+)", text).groups())
    if errors:
        sys.exit(f"{server.name} failed {errors} times of {count}: {text}")
    seconds = duration / 1e6
    return count / seconds, size * 8 / seconds / 1e9, spent / (size / 1e9), spent / seconds


def compare(scenarios, directory):
    """Runs scenarios (name, server, requests) in turns, and prints their medians with their share of the first's."""
    results = {name: [] for name, _, _ in scenarios}
    for _ in range(TURNS):
        for name, server, requests in scenarios:
            with server:
                results[name].append(load(server, requests, directory))
    first = scenarios[0][0]
    for name, runs in results.items():
        rate, gbit, cost, busy = (statistics.median(column) for column in zip(*runs))
        speeds = [own[1] / other[1] for own, other in zip(runs, results[first])]
        costs = [own[2] / other[2] for own, other in zip(runs, results[first])]
        print(
            f"{name:34} {rate:9.0f} req/s {gbit:6.1f} Gbit/s {cost:6.3f} cpu-s/GB {busy:4.2f} cores;"
            f" of {first}: {statistics.median(speeds):.2f} speed ({min(speeds):.2f}-{max(speeds):.2f}),"
            f" {statistics.median(costs):.2f} cost ({min(costs):.2f}-{max(costs):.2f})",
            flush=True,
        )


def film(path, megabits, seconds):
    """A film of so many megabits per second: noise, which cannot be made smaller than it is allowed to be."""
    picture = f"testsrc2=s=1280x720:r=30,noise=alls=60:allf=t"
    rate = f"{megabits}M"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60", "-pix_fmt", "yuv420p"]
    rates = ["-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr"]
    sources = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=440:r=48000", "-t", str(seconds)]
    command = ["ffmpeg", "-y", "-v", "error", *sources, *coding, *rates, "-c:a", "aac", "-b:a", "128k", path]
    subprocess.run(command, check=True)


def play(site, root, directory):
    with site:
        video = site.publish(os.path.join(root, "film.mp4"))
    size = os.path.getsize(os.path.join(root, "film.mp4"))
    print(f"# a file of {size / (1 << 20):.1f} MiB, 32 connections, medians of {TURNS} runs in turns")
    nginx, own, name = Nginx(root), f"/videos/{video}", "/film.mp4"
    compare([("nginx, whole", nginx, [(name, None)]), ("millrace, whole", site, [(own, None)])], directory)
    part = "bytes=4194304-4456447"
    compare([("nginx, 256 KiB", nginx, [(name, part)]), ("millrace, 256 KiB", site, [(own, part)])], directory)


def package(site, root, directory):
    """Segments of a file whose pictures and sound lie in turns, as FFmpeg writes it, and of one where they lie in pieces of a
    second, as cameras and phones do, and as what this server makes."""
    turns, pieces = os.path.join(root, "film.mp4"), os.path.join(root, "pieces.mp4")
    if not os.path.exists(pieces):
        chunks = ["-chunk_duration", "1000000", "-movflags", "+faststart"]
        subprocess.run(["ffmpeg", "-y", "-v", "error", "-i", turns, "-c", "copy", *chunks, pieces], check=True)
    with site:
        videos = [site.publish(path) for path in (turns, pieces)]
        # As a player asks for them: pictures and sound by turns.
        tracks = [[site.segments(video, track) for track in ("video", "audio")] for video in videos]
        segments = [[one for both in zip(*of_one) for one in both] for of_one in tracks]
    # The same bytes: as much of the file for each segment, one after the other.
    ranges, offset = [], 4096
    for _, length in segments[0]:
        offset = offset if offset + length <= os.path.getsize(turns) else 4096
        ranges.append((f"/videos/{videos[0]}", f"bytes={offset}-{offset + length - 1}"))
        offset += length
    size = sum(length for _, length in segments[0]) / len(segments[0])
    print(f"# {len(segments[0])} segments of {size / 1e6:.2f} MB")
    made = [[(path, None) for path, _ in of_one] for of_one in segments]
    beside = [("segments, in turns", site, made[0]), ("segments, in pieces", site, made[1])]
    compare([("ranges of the file", site, ranges), *beside], directory)


def cold(site, root, directory):
    """A film of two hours and 4 GiB: from the server's start, and an empty page cache, to its first segment."""
    short, long = os.path.join(root, "five-minutes.mp4"), os.path.join(directory, "long.mp4")
    if not os.path.exists(long):
        film(short, 4.62, 300)
        loop = ["-stream_loop", "23", "-i", short, "-c", "copy", "-movflags", "+faststart", long]
        subprocess.run(["ffmpeg", "-y", "-v", "error", *loop], check=True)
    with site:
        video = site.publish(long)
    print(f"# a file of {os.path.getsize(long) / (1 << 30):.2f} GiB")
    times, grown = [], []
    for _ in range(TURNS):
        with site:
            site.call("GET", "/")
            os.sync()
            with open("/proc/sys/vm/drop_caches", "w") as caches:
                caches.write("3")
            before, _ = memory(site.process.pid)
            begun = time.monotonic()
            for path in ("index.m3u8", "original/video.m3u8", "original/video/init.mp4", "original/video/0.m4s"):
                site.call("GET", f"/videos/{video}/{path}")
            times.append((time.monotonic() - begun) * 1000)
            after, most = memory(site.process.pid)
            grown.append((after - before, most - before))
    now, most = (statistics.median(column) / (1 << 20) for column in zip(*grown))
    print(f"cold: both playlists, the init segment and the first segment after {statistics.median(times):.0f} ms", end="")
    print(f" ({min(times):.0f}-{max(times):.0f}); {now:.1f} MiB more memory then, {most:.1f} at most in between")


def upload(site, root, directory):
    path = os.path.join(root, "film.mp4")
    large = os.path.join(root, "large.mp4")
    if not os.path.exists(large):
        loop = ["-stream_loop", "15", "-i", path, "-c", "copy", large]
        subprocess.run(["ffmpeg", "-y", "-v", "error", *loop], check=True)
    size, copy = os.path.getsize(large), os.path.join(directory, "copy")
    ways = {"dd": [], "tus": [], "form": []}
    with site:
        for _ in range(TURNS):
            os.sync()
            begun = time.monotonic()
            dd = ["dd", f"if={large}", f"of={copy}", "bs=1M", "conv=fsync", "status=none"]
            subprocess.run(on_core("0", dd), check=True)
            ways["dd"].append(size / (time.monotonic() - begun) / 1e6)
            os.remove(copy)
            for way in ("tus", "form"):
                os.sync()
                video, seconds = site.upload(large, way == "form")
                ways[way].append(size / seconds / 1e6)
                site.call("DELETE", f"/api/v1/videos/{video}")
    print(f"# uploads of {size / (1 << 20):.0f} MiB")
    for way, rates in ways.items():
        ratios = [rate / dd for rate, dd in zip(rates, ways["dd"])]
        print(f"{way:5} {statistics.median(rates):6.0f} MB/s; of dd {statistics.median(ratios):.2f}", end="")
        print(f" ({min(ratios):.2f}-{max(ratios):.2f})", flush=True)
    with site:
        site.upload(path)
        before, _ = memory(site.process.pid)
        senders = [threading.Thread(target=site.upload, args=(path, n % 2 == 1)) for n in range(50)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        _, most = memory(site.process.pid)
    print(f"50 uploads at once: {(most - before) / 50 / (1 << 20):.2f} MiB each at most", flush=True)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    scenarios = {"play": play, "package": package, "cold": cold, "upload": upload}
    chosen = sys.argv[2:] or list(scenarios)
    with contextlib.ExitStack() as stack:
        directory = os.environ.get("VOD_DIR")
        directory = directory or stack.enter_context(tempfile.TemporaryDirectory(prefix="millrace-vod-"))
        os.chmod(directory, 0o755)
        root = os.path.join(directory, "files")
        os.makedirs(root, exist_ok=True)
        if not os.path.exists(os.path.join(root, "film.mp4")):
            film(os.path.join(root, "film.mp4"), 8, 65)
        data = stack.enter_context(tempfile.TemporaryDirectory(dir=directory))
        site = Millrace(os.path.abspath(sys.argv[1]), data)
        for name in chosen:
            scenarios[name](site, root, directory)


if __name__ == "__main__":
    main()
