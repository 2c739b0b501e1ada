# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps against each error of the backend: its code says which place of the interface mends it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional

from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices

from ..backend.jobs import JobView, in_words
from ..i18n import tr
from ..shared import Shared
from ..timing import inside_qgis
from .page_series import SeriesPage
from .reveal import reveal
from .why import Remedy, helped

Places = Mapping[str, Callable[[], Any]]

# A place is a parameter of the task, or one of the interface's own; a page has those that it asks for.
CODES: Dict[str, str] = {
    "series": """
        band_missing band_twice crs_local crs_transform csv_band csv_columns csv_crs csv_date csv_empty
        csv_nodata csv_place csv_places csv_unreadable date_conflict date_missing dates_missing dates_shape
        exists hdf mask_codes no_bands no_crs no_data no_dates no_rasters no_sources no_valid_date not_found
        not_readable place_invalid places_apart places_bands raster_kind raster_place raster_unreadable
        series_shape
        series_size size_differs source_kind stac_bbox stac_cloud stac_cloudy stac_collection stac_collections
        stac_dates stac_field stac_file stac_forbidden stac_href stac_missing stac_mixed stac_no_bands
        stac_no_search stac_not_stac stac_nothing stac_outside stac_pages stac_suffix stac_too_many
        stac_unwritable stac_url stacked_dates too_few_dates valid_shape""",
    "labels": """
        classes_unknown labels_crs labels_decimal labels_elsewhere labels_incomplete labels_no_crs
        labels_not_found labels_other_dates labels_size labels_unreadable labels_without_data no_features
        no_labels no_parts one_class part_in_buffer part_one_class part_unknown part_without_labels
        place_twice place_without_labels split_not_found split_unreadable split_unwritable too_few_labels""",
    "class_field": """
        class_field_decimal class_field_missing class_field_unknown field_unknown too_many_classes""",
    "date_field": "date_field_missing date_field_unknown date_field_unreadable date_field_unused",
    "split_field": "part_field_unknown",
    "model": """
        bundle_changed bundle_damaged bundle_format bundle_mismatch bundle_missing bundle_not_per_date
        bundle_without_classes class_values folder_unreadable no_encoder no_encoder_weights
        no_pretrained_weights pixels_differ stage_between_pixels stem_bands stem_option unknown_weight
        weights_do_not_fit weights_missing weights_unreadable""",
    "size": "does_not_fit unknown_model",
    "batch": "out_of_memory",
    "device": "device_missing precision_device gpu_unusable unknown_gpu",
    "learn": "freeze_stages lora_not_installed lora_options lora_twice nothing_to_learn",
    "learning_rate": "lora_not_finite not_finite training_diverged",
    "setting": "layer_decay mask_ratio norm_pix_over path_relative shard_invalid spec_invalid",
    "aoi": "area_crs area_empty area_not_found area_outside area_size area_unreadable",
    "out": """
        output_is_file output_is_folder output_is_input output_no_folder output_not_bundle output_not_report
        output_suffix output_unwritable outputs_collide polygons_too_many""",
    "free": "output_exists partial_damaged partial_differs partial_format partial_missing",
    "disk": "disk_full",
    "options": """
        home_foreign home_shared home_unusable not_guarded path_denied settings_invalid
        store_newer store_unreadable""",
    "backend": """
        access_denied backend_gone backend_mute backend_not_running backend_silent connection_invalid
        no_port protocol_unsupported server_running""",
    "log": """
        blocks_missing decoder_config encoder_config job_not_ended job_not_failed job_not_waiting
        message_invalid message_too_large noise_shape not_allowed not_training ray_missing spec_too_large
        unknown_job unknown_task""",
}
_AGAIN = """
    access_denied backend_gone backend_mute backend_not_running backend_silent connection_invalid disk_full
    gpu_unusable internal interrupted job_pausing no_port partial_in_use raster_unreachable ray_failed
    ray_lost ray_unreachable roots_missing server_running stac_refused stac_unreachable stale_attempt
    store_failed too_many_subscriptions unknown_gpu worker_ended worker_killed worker_not_started
    """
AGAIN: FrozenSet[str] = frozenset(_AGAIN.split())
"""Codes where the same job can succeed later, as it is."""
PLACES: Dict[str, str] = {code: place for place, codes in CODES.items() for code in codes.split()}


def can_again(error: Optional[Mapping[str, Any]]) -> bool:
    """Whether the same job can succeed later, as it is."""
    error = error or {}
    return error.get("code") in AGAIN or bool(error.get("retryable"))


def must_change(error: Optional[Mapping[str, Any]]) -> bool:
    """Whether the same job would fail again; not known of an error that has no place."""
    return (error or {}).get("code") in PLACES and not can_again(error)


class Remedies:
    """What helps on one page.

    Args:
        shared: What all pages share.
        series: Where the series is mended.
        places: What leads to a place of the page, by its name in ``CODES``; ``again`` sends the job anew.
    """

    def __init__(self, shared: Shared, series: SeriesPage, places: Optional[Places] = None) -> None:
        self._shared, self._series, self._places = shared, series, places or {}

    def told(self, error: Mapping[str, Any]) -> str:
        """A refusal in words, with what helps."""
        return helped(in_words(error), *(self._find(error) or self.at("log")))

    def of_job(self, job: JobView) -> Optional[Remedy]:
        """What helps a job that has failed, beside its log and another try; None if nothing more."""
        return self._find(job.error or {}, job) if job.state == "failed" else None

    def of_refusal(self, error: Mapping[str, Any]) -> Optional[Remedy]:
        """What helps where a job can't be paused, cancelled or moved, beside the button that asked for it."""
        place = PLACES.get(str(error.get("code", "")), "")
        act = self._act(place, error, None)
        return (_texts().get(place, tr("Show the setting")), act) if act is not None else None

    def at(self, place: str) -> Remedy:
        """What leads to a place."""
        return _texts().get(place, tr("Show the setting")), self._act(place, {}, None) or self._open_logs

    def _find(self, error: Mapping[str, Any], job: Optional[JobView] = None) -> Optional[Remedy]:
        code = str(error.get("code", ""))
        place = PLACES.get(code, "")
        act = self._act(place, error, job)
        if act is None and job is None and code in AGAIN:
            place, act = "again", self._places.get("again")
        return (_texts().get(place, tr("Show the setting")), act) if act is not None else None

    def _act(
        self, place: str, error: Mapping[str, Any], job: Optional[JobView]
    ) -> Optional[Callable[[], Any]]:
        if place in self._places:
            return self._places[place]
        home = self._shared.settings.home_folder
        return {
            "series": partial(self._show_series, error),
            "disk": partial(
                self._open, Path(str(job.spec.get("out", home))).parent if job is not None else home
            ),
            "options": self._open_options,
            "backend": lambda: self._shared.backend.use(self._shared.settings.backend_program),
        }.get(place)

    def _show_series(self, error: Mapping[str, Any]) -> None:
        """Turn to the series, and select the raster that the error names."""
        said = f"{(error.get('detail') or {}).get('path', '')} {error.get('message', '')}"
        named = [row for row in self._series.rows if row.path is not None and row.path.name in said]
        reveal(self._series.view)
        if named:
            self._series.filter.clear()
            # The longest name: that of another may be a part of it.
            self._series.view.go_to(
                max(named, key=lambda row: len(row.path.name if row.path else "")).layer_id
            )

    def _open_options(self) -> None:
        iface = self._shared.iface
        with inside_qgis():
            iface.showOptionsDialog(iface.mainWindow(), "timoOptions")

    def _open_logs(self) -> None:
        self._open(self._shared.settings.home_folder / "logs")

    def _open(self, folder: Path) -> None:
        """Show a folder in the system's file manager; the nearest above it where it is not there."""
        above = (folder, *folder.parents)
        self._shared.background.run(
            lambda: next((one for one in above if one.is_dir()), folder), _show_folder
        )


def _show_folder(folder: Path) -> None:
    with inside_qgis():
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _texts() -> Dict[str, str]:
    """The buttons' texts by place; those of all others are about a setting."""
    return {
        "series": tr("Show the series"),
        "labels": tr("Show the labels"),
        "class_field": tr("Show the class field"),
        "date_field": tr("Show the date field"),
        "split_field": tr("Show the split field"),
        "model": tr("Show the model"),
        "size": tr("Show the model"),
        "aoi": tr("Show the area"),
        "out": tr("Show the output"),
        "free": tr("Take a free name"),
        "disk": tr("Open the folder"),
        "options": tr("Options…"),
        "backend": tr("Retry"),
        "again": tr("Try again"),
        "log": tr("Open the logs"),
    }
