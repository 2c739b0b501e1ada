# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks as Processing algorithms: for the toolbox, batch, models and ``qgis_process``. No widgets."""
