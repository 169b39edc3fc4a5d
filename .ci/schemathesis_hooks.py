"""Things that exist, for the ids that are tried: invented ones are answered by 404 alone. Keeps which operations were
answered well, and names at the end those that never were."""

import atexit
import itertools
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
import schemathesis

APP, SIMULATOR, NEVER = (os.environ[name] for name in ("APP", "SIMULATOR", "NEVER_WELL"))
API = requests.Session()
API.headers["Authorization"] = "Bearer " + os.environ["KEY"]

METHODS = {"get", "post", "put", "patch", "delete"}
paths = requests.get(f"{APP}/api/v1/openapi.json", timeout=20).json()["paths"]
operations = {f"{method.upper()} {path}" for path, all in paths.items() for method in METHODS & all.keys()}
# The document itself was answered just now.
well = {"GET /api/v1/openapi.json"}
# Every other one has an id that exists.
turns = {}


class Receiver(BaseHTTPRequestHandler):
    """Where notifications are passed on to."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


receiver = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()


def api(method, path, **more):
    answer = API.request(method, f"{APP}/api/v1/{path}", timeout=20, **more)
    answer.raise_for_status()
    return answer.json()


def first(path):
    return api("GET", path + ("&" if "?" in path else "?") + "limit=1")["items"][0]["id"]


def connected():
    """One more instance."""
    browser = requests.Session()
    start = browser.post(f"{APP}/connect", headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False)
    query = start.headers["Location"].split("?", 1)[1] + "&decision=allow&account=0"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    back = requests.post(f"{SIMULATOR}/oauth2/authorize", data=query, headers=form, allow_redirects=False)
    page = browser.get(back.headers["Location"], allow_redirects=False)
    return page.headers["Location"].rsplit("/", 1)[1]


def endpoint():
    return api("POST", "endpoints", json={"url": f"http://127.0.0.1:{receiver.server_port}/"})["id"]


def delivery():
    if not api("GET", "deliveries")["items"]:
        requests.post(f"{SIMULATOR}/_sim/contacts", json={"email": "passed-on@reader.example"}).raise_for_status()
    for _ in range(100):
        items = api("GET", "deliveries")["items"]
        if items:
            return items[0]["id"]
        threading.Event().wait(0.1)
    raise AssertionError("nothing is passed on")


lasting = {"instance": connected(), "endpoint": endpoint()}
lasting["delivery"] = delivery()
lasting["event"] = first("events")
# What is taken away is made for it; instances are dear.
fresh_instances = itertools.chain((connected() for _ in range(5)), itertools.repeat(None))


def existing(label):
    method, path = label.split(" ")
    if path == "/api/v1/instances/{id}" and method == "DELETE":
        return next(fresh_instances)
    if path == "/api/v1/endpoints/{id}" and method == "DELETE":
        return endpoint()
    if path == "/api/v1/invites/{id}":
        return api("POST", "invites", json={"customer": "Ada"})["id"]
    kind = path.removeprefix("/api/v1/").split("s/")[0]
    return lasting.get(kind)


@schemathesis.hook
def before_call(context, case, kwargs):
    label = case.operation.label
    if "{id}" not in label or not (case.meta and case.meta.generation.mode.is_positive):
        return
    turns[label] = turns.get(label, 0) + 1
    if turns[label] % 2:
        found = existing(label)
        if found:
            case.path_parameters["id"] = found
        if label.endswith("/audiences") and isinstance(case.body, dict):
            case.body["audiences"] = [api("GET", f"instances/{found}/audiences")["items"][0]["id"]]


@schemathesis.hook
def after_call(context, case, response):
    if 200 <= response.status_code < 300:
        well.add(case.operation.label)


@atexit.register
def tell():
    with open(NEVER, "w", encoding="utf-8") as file:
        file.writelines(f"{label}\n" for label in sorted(operations - well))
