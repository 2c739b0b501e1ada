# SPDX-License-Identifier: GPL-3.0-or-later
"""A small STAC API on this machine: real HTTP, paging by ``next`` links, files in ranges as GDAL asks."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CONFORMS = [
    f"https://api.stacspec.org/v1.0.0/{name}"
    for name in ("core", "collections", "ogcapi-features", "item-search")
]
EXTENSIONS = [
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
]


class StacServer:
    """Serves the files of a folder, and items that describe them.

    Attributes:
        items: What /search finds in, by collection, box and time.
        page: Items a page.
        methods: Those that the search link is advertised with.
        conforms: The conformance classes.
        answers: Path to (status, body): what is answered instead.
        asked: (method, path with query) of every request.
        slow: Seconds to wait before an answer of the API.
    """

    def __init__(self, folder):
        self.folder = folder
        self.items, self.page, self.methods, self.conforms = [], 100, ("GET", "POST"), CONFORMS
        self.answers, self.asked, self.slow, self.collections = {}, [], 0.0, ["s2"]
        self.same_page = False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def add(self, name, when, files, *, collection="s2", cloud=None, projection=True, **properties):
        """An item whose assets are files of the folder: key to (path, facts of the asset)."""
        import rasterio
        from rasterio.warp import transform_bounds

        assets = {}
        for key, (path, facts) in files.items():
            with rasterio.open(self.folder / path) as raster:
                box = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
                placed = {"proj:shape": list(raster.shape), "proj:transform": list(raster.transform)[:6]}
                code = raster.crs.to_epsg()
            assets[key] = {
                "href": f"{self.url}/files/{path}", "type": "image/tiff; application=geotiff",
                **(placed if projection else {}), **facts,
            }  # fmt: skip
        west, south, east, north = box
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        item = {
            "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "links": [],
            "stac_extensions": EXTENSIONS if projection else EXTENSIONS[:2],
            "bbox": list(box), "assets": assets,
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "datetime": when, **({} if cloud is None else {"eo:cloud_cover": cloud}),
                **({"proj:epsg": code} if projection else {}), **properties,
            },
        }  # fmt: skip
        self.items.append(item)
        return item

    def catalog(self):
        links = [{"rel": "self", "href": self.url}, {"rel": "root", "href": self.url},
                 {"rel": "data", "href": f"{self.url}/collections"}]  # fmt: skip
        links += [
            {"rel": "search", "href": f"{self.url}/search", "method": method, "type": "application/geo+json"}
            for method in self.methods
        ]
        return {"type": "Catalog", "id": "local", "stac_version": "1.0.0", "description": "For tests.",
                "conformsTo": self.conforms, "links": links}  # fmt: skip

    def collection(self, name):
        return {
            "type": "Collection", "id": name, "stac_version": "1.0.0", "description": name,
            "license": "other",
            "extent": {"spatial": {"bbox": [[2.0, 49.0, 5.0, 51.0]]},
                       "temporal": {"interval": [["2015-06-27T00:00:00Z", None]]}},
            "links": [{"rel": "self", "href": f"{self.url}/collections/{name}"}],
        }  # fmt: skip

    def search(self, asked, method):
        """A page of what is asked for, with a link to the next."""
        box, (first, last) = asked["bbox"], asked["datetime"].split("/")
        found = [
            item
            for item in self.items
            if item["collection"] in asked["collections"]
            and first <= item["properties"]["datetime"] <= last
            and item["bbox"][0] <= box[2] and item["bbox"][2] >= box[0]
            and item["bbox"][1] <= box[3] and item["bbox"][3] >= box[1]
        ]  # fmt: skip
        start = int(asked.get("token", 0))
        page = found[start : start + self.page]
        links = []
        if start + self.page < len(found) or self.same_page:
            token = start if self.same_page else start + self.page
            link = {"rel": "next", "method": method, "type": "application/geo+json"}
            if method == "POST":
                links.append({**link, "href": f"{self.url}/search", "body": {**asked, "token": str(token)}})
            else:
                query = urlencode({
                    "collections": ",".join(asked["collections"]), "bbox": ",".join(map(str, box)),
                    "datetime": asked["datetime"], "token": token,
                })  # fmt: skip
                links.append({**link, "href": f"{self.url}/search?{query}"})
        return {"type": "FeatureCollection", "features": page, "links": links, "numberMatched": len(found)}


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            server.asked.append((self.command, self.path))
            path, query = urlsplit(self.path).path.rstrip("/"), parse_qs(urlsplit(self.path).query)
            if path.startswith("/files/"):
                self._send_file(path.removeprefix("/files/"))
            elif not self._send_instead(path):
                self._answer(path, query)

        def do_POST(self):
            server.asked.append((self.command, self.path))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "POST" not in server.methods:
                self._send(405, b"")
            elif not self._send_instead("/search"):
                self._send_json(server.search(json.loads(body), "POST"))

        def _answer(self, path, query):
            if path == "":
                self._send_json(server.catalog())
            elif path == "/collections":
                self._send_json({"collections": [server.collection(name) for name in server.collections],
                                 "links": []})  # fmt: skip
            elif path.startswith("/collections/") and path.split("/")[2] in server.collections:
                self._send_json(server.collection(path.split("/")[2]))
            elif path == "/search":
                one = {key: values[0] for key, values in query.items()}
                one |= {"collections": one["collections"].split(","),
                        "bbox": [float(side) for side in one["bbox"].split(",")]}  # fmt: skip
                self._send_json(server.search(one, "GET"))
            else:
                self._send(404, b'{"code": "NotFound", "description": "There is nothing here."}')

        def _send_instead(self, path):
            time.sleep(server.slow)
            if path not in server.answers:
                return False
            self._send(*server.answers[path])
            return True

        def _send_file(self, name):
            path = server.folder / name
            if not path.is_file():
                return self._send(404, b"")
            data = path.read_bytes()
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if not asked:
                return self._send(200, data)
            first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            if first >= len(data):
                return self._send(416, b"")
            return self._send(
                206, data[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            )

        def _send_json(self, value):
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _send(self, status, body, headers=None):
            self.send_response(status)
            for key, value in {
                "Content-Length": str(len(body)),
                "Accept-Ranges": "bytes",
                **(headers or {}),
            }.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
