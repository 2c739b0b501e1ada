# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenes that a search of a STAC API finds.

pystac-client talks to the API. Nothing here reads pixels: ``timo.series.stac_series`` does.
"""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from timo.errors import SeriesError
from timo.series.stac_search import StacSearch

if TYPE_CHECKING:
    from pystac import Item
    from pystac_client import Client

MOST_SCENES = 2000
"""Of a search, whether cloudy or not; more is a mistake in the box or the dates."""
PAGE = 100
TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for an answer."""
_TRIES = 3
_LISTED = 1000  # collections to look for a similar name in
_CLOUD = "eo:cloud_cover"
_AMISS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)  # of clients, about odd answers


@dataclass(frozen=True)
class Scenes:
    """What a search found.

    Attributes:
        search: What was searched for.
        items: The scenes, by time and name.
        cloudy: How many more there are beyond the cloud limit.
    """

    search: StacSearch
    items: tuple[Item, ...]
    cloudy: int


def need_packages() -> None:
    """Make sure that the packages of the extra ``stac`` are there.

    Raises:
        SeriesError: Saying how to install them.
    """
    try:
        import odc.stac  # noqa: F401
        import pystac_client  # noqa: F401
    except ImportError as error:
        raise SeriesError(
            "stac_missing",
            "Searching a STAC catalogue needs the packages pystac-client and odc-stac "
            f"({error.name} is missing).",
            "Install them: pip install 'timo-qgis[stac]'.",
        ) from error


def find_scenes(search: StacSearch) -> Scenes:
    """Search a STAC API.

    Clouds are judged here, not by the server: few servers leave scenes of other sensors in when they do, and
    so it is known how many scenes were too cloudy.

    Raises:
        SeriesError: The server can't be reached, is no STAC API, doesn't know a collection, finds nothing or
            too much.
    """
    need_packages()
    url = search.stac
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the clients, about what servers say of themselves
        with _answers(url):
            client = _connect(url)
        if not client.conforms_to("ITEM_SEARCH"):
            raise SeriesError(
                "stac_no_search",
                f"{url} is a STAC catalogue that can't be searched.",
                "Give the root of a STAC API: it says that it conforms to item-search.",
            )
        extents = [_extent(client, url, name) for name in search.collections]
        with _answers(url):
            items = _items(client, search)
    kept = [item for item in items if item.id not in search.skip]
    clear = [item for item in kept if search.cloud is None or _clouds(item) <= search.cloud]
    if not clear:
        raise _nothing(search, len(items), len(kept), extents)
    return Scenes(search, tuple(sorted(clear, key=_order)), len(kept) - len(clear))


def clouds_of(item: Item) -> float | None:
    """Per cent of clouds, None where the scene doesn't tell."""
    value = item.properties.get(_CLOUD)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _clouds(item: Item) -> float:
    return clouds_of(item) or 0.0


def _order(item: Item) -> tuple[str, str]:
    when = item.properties.get("datetime") or item.properties.get("start_datetime") or ""
    return str(when), item.id


def _connect(url: str) -> Client:
    from pystac_client import Client
    from pystac_client.stac_api_io import StacApiIO
    from urllib3 import Retry

    # POST too: a search changes nothing.
    again = Retry(
        _TRIES - 1,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may ask for an hour
    )
    # open() sets the timeout anew.
    return Client.open(url, stac_io=StacApiIO(max_retries=again), timeout=TIMEOUT)


@contextmanager
def _answers(url: str) -> Iterator[None]:
    """Turns what goes wrong between us and a server into a SeriesError that names it."""
    from pystac.errors import STACError, STACTypeError
    from pystac_client.errors import ClientTypeError
    from pystac_client.exceptions import APIError

    try:
        yield
    except APIError as error:
        garbled = "codec can't decode" in str(error)
        raise (_not_stac(url, error) if garbled else _refused(url, error)) from error
    except (ClientTypeError, STACError, STACTypeError, *_AMISS) as error:
        raise _not_stac(url, error) from error


def _not_stac(url: str, error: Exception) -> SeriesError:
    return SeriesError(
        "stac_not_stac",
        f"{url} answers, but not as a STAC API does.",
        "Give the root of a STAC API, such as https://earth-search.aws.element84.com/v1.",
        detail={"error": f"{type(error).__name__}: {error}"[:500]},
    )


def _refused(url: str, error: Exception) -> SeriesError:
    status = getattr(error, "status_code", None)
    if status is None:
        return SeriesError(
            "stac_unreachable", f"{url} can't be reached: {_why(str(error))}.",
            "Check the address and the network, and try again.", retryable=True,
        )  # fmt: skip
    said = _said(str(error))
    if status in (401, 403):
        return SeriesError(
            "stac_forbidden", f"{url} lets only its users in (status {status}{said}).",
            "Give an API that is open to all.",
        )  # fmt: skip
    action = "Try again later." if status >= 500 or status == 429 else "Check the address and the search."
    return SeriesError(
        "stac_refused", f"{url} refuses the search with status {status}{said}.", action,
        retryable=status >= 500 or status == 429,
    )  # fmt: skip


def _why(text: str) -> str:
    """What a network's complaint means, as a part of a sentence."""
    low = text.lower()
    if "timed out" in low or "timeout" in low:
        return f"it did not answer within {TIMEOUT[1]:g} s"
    if "refused" in low:
        return "nothing answers there"
    if "resolve" in low or "name or service" in low or "getaddrinfo" in low:
        return "there is no server of this name"
    if "certificate" in low:
        return "its certificate is not trusted"
    return " ".join(text.split())[:200].rstrip(".") or "the connection broke"


def _said(text: str) -> str:
    """What the server says, where it says it in the way of the standard."""
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    told = (
        answer.get("description") or answer.get("detail") or answer.get("message")
        if isinstance(answer, dict)
        else ""
    )
    return f": {' '.join(told.split())[:200].rstrip('.')}" if isinstance(told, str) and told else ""


def _extent(client: Client, url: str, name: str) -> str:
    """Where and when a collection has scenes, as a part of a sentence; empty if it doesn't tell.

    Raises:
        SeriesError: There is no such collection; similar names are given.
    """
    if not (client.conforms_to("COLLECTIONS") or client.conforms_to("FEATURES")):
        return ""
    with _answers(url):
        collection = client.get_collection(name)
        if collection is None:
            known = [one.id for one in islice(client.get_collections(), _LISTED)]
    if collection is None:
        similar = difflib.get_close_matches(name, known, 3, 0.4) or known[:5]
        raise SeriesError(
            "stac_collection",
            f"{url} has no collection '{name}'.",
            f"It has {len(known)}{' and more' if len(known) == _LISTED else ''}: {', '.join(similar)}"
            f"{', ...' if len(similar) < len(known) else ''}." if known else "It has none.",
            detail={"collections": known},
        )  # fmt: skip
    return _covers(collection)


def _covers(collection: Any) -> str:
    try:
        box = collection.extent.spatial.bboxes[0]
        first, last = collection.extent.temporal.intervals[0]
        west, south, east, north = box if len(box) == 4 else (*box[:2], *box[3:5])
        times = " to ".join(time.date().isoformat() if time else "now" for time in (first, last))
        return f"{collection.id} has {west:g} {south:g} {east:g} {north:g}, {times}"
    except (AttributeError, IndexError, TypeError, ValueError):
        return ""


def _items(client: Client, search: StacSearch) -> list[Item]:
    from pystac import Item

    methods = {link.extra_fields.get("method", "GET") for link in client.get_links("search")}
    first, last = search.days
    found = client.search(
        method="POST" if "POST" in methods else "GET",
        collections=search.collections,
        bbox=search.bbox,
        datetime=f"{first.isoformat()}/{last.isoformat()}",
        limit=PAGE,
        max_items=MOST_SCENES + 1,
    )
    features: dict[tuple[str, str], dict[str, Any]] = {}
    for page in found.pages_as_dicts():
        before = len(features)
        for feature in page["features"]:
            features.setdefault((str(feature.get("collection")), feature["id"]), feature)
        if len(features) > MOST_SCENES:
            raise SeriesError(
                "stac_too_many",
                f"The search of {search.stac} finds more than {MOST_SCENES} scenes.",
                "Make the box or the span of dates smaller.",
            )
        if len(features) == before:
            raise SeriesError(
                "stac_pages",
                f"{search.stac} gives the same {before} scenes again as its next page.",
                "Make the box or the span of dates smaller, so that one page holds the scenes.",
            )
    return [Item.from_dict(feature, root=client, preserve_dict=False) for feature in features.values()]


def _nothing(search: StacSearch, found: int, kept: int, extents: list[str]) -> SeriesError:
    """Why no scene is left."""
    where = f"{', '.join(search.collections)} of {search.stac}"
    if not found:
        known = "; ".join(extent for extent in extents if extent)
        return SeriesError(
            "stac_nothing",
            f"No scene of {where} lies in the box and between {search.dates.replace('/', ' and ')}.",
            f"Search in another box or at other dates{f': {known}' if known else ''}.",
        )
    if not kept:
        return SeriesError("stac_nothing", f"All {found} scenes of {where} are skipped.", "Skip fewer.")
    return SeriesError(
        "stac_cloudy",
        f"No scene of {where} has at most {search.cloud:g} % of clouds: {kept} have more.",
        "Raise the cloud limit.",
        detail={"without_limit": kept},
    )
