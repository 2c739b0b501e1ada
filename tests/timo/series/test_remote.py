# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasters on a web server, read over a real one on this machine."""

import http.server
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from timo.errors import SeriesError
from timo.series.series import open_series


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, as servers of COGs do, and writes down what was asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        try:
            with Path(self.translate_path(self.path)).open("rb") as file:
                data = file.read()
        except OSError:
            self.send_error(404)
            return
        start, stop = (int(match[1]), int(match[2] or len(data) - 1)) if match else (0, len(data) - 1)
        part = data[start : stop + 1]
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Accept-Ranges", "bytes")
        if match:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "www"
    root.mkdir()

    def handler(*arguments):
        return Ranges(*arguments, directory=str(root))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked, server.root = [], root
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def files(server, write_raster):
    values = np.arange(1, 64 * 64 + 1, dtype=np.uint16).reshape(64, 64)
    for date in ("20200801", "20200901"):
        write_raster(server.root / f"S2_{date}.tif", values, names=("B04",), nodata=0)
    return values


@pytest.mark.parametrize("prefix", ["", "/vsicurl/"])
def test_addresses_are_a_series_like_files(server, files, prefix):
    series = open_series([f"{prefix}{server.address}/S2_{date}.tif" for date in ("20200801", "20200901")])
    assert [str(date) for date in series.dates] == ["2020-08-01", "2020-09-01"]
    np.testing.assert_allclose(series.read().values[1, 0], files * 1e-4, rtol=1e-6)
    assert series.files[0] == (f"/vsicurl/{server.address}/S2_20200801.tif",)
    part = pickle.loads(pickle.dumps(series)).read(Window(3, 4, 5, 6))
    np.testing.assert_allclose(part.values[0, 0], files[4:10, 3:8] * 1e-4, rtol=1e-6)
    assert not [path for path in server.asked if path.endswith("/")]  # no listing of the folder


def test_addresses_may_stand_in_a_csv_and_carry_a_key(server, files, tmp_path):
    table = tmp_path / "series.csv"
    table.write_text(f"path,date\n{server.address}/S2_20200801.tif?key=1,2019-05-01\n")
    series = open_series(table)
    assert [str(date) for date in series.dates] == ["2019-05-01"]
    assert series.keys == ("red",)


def test_an_address_that_is_not_there_is_named(server, files):
    with pytest.raises(SeriesError) as caught:
        open_series(f"{server.address}/S2_20201001.tif")
    assert caught.value.code == "raster_unreachable"
    assert caught.value.retryable
    assert f"{server.address}/S2_20201001.tif" in caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        "/vsis3/bucket/S2_20200801.tif", "s3://bucket/S2_20200801.tif", "/vsizip/a.zip/S2_20200801.tif",
        "ftp://host/S2_20200801.tif", "WMS:https://host/wms", "PG:dbname=x", "NETCDF:a.nc:red",
    ],
)  # fmt: skip
def test_other_things_that_are_no_files_are_refused(source):
    with pytest.raises(SeriesError) as caught:
        open_series(source)
    assert caught.value.code == "source_kind"
    assert source in caught.value.message
    assert "https" in caught.value.message
