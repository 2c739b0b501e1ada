# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tasks' algorithms are: parameters from the schema, one job of the backend, its outputs.

QGIS loads this when it starts: what only a run needs is imported by the run.
"""

from __future__ import annotations

import html
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingUtils,
)
from qgis.PyQt.QtGui import QIcon

from ..compat import icon
from ..guide_links import address
from ..i18n import tr
from ..models import read_model
from .definitions import OUTPUTS, asked, definitions, help_text, source_help, source_title, title

if TYPE_CHECKING:
    from .request import Request

Values = Mapping[str, Any]


class TaskAlgorithm(QgsProcessingAlgorithm):
    """A task of the backend in Processing. Subclasses say which, and what else it gives.

    Attributes:
        TASK: The task, and the algorithm's name.
        TITLE: Its name in the toolbox.
        ABOUT: What it does, in a sentence or two.
        GROUP: The id and the name of its group.
        ICON: Its icon's name.
    """

    TASK = ""
    TITLE = ""
    ABOUT = ""
    GROUP = ("", "")
    ICON = "timo"

    def __init__(self) -> None:
        super().__init__()
        self._request: Optional[Request] = None
        self._outputs: Dict[str, str] = {}
        self._proxy: Dict[str, str] = {}

    # what it is

    def createInstance(self) -> TaskAlgorithm:
        """A new one, as each run has its own."""
        return type(self)()

    def name(self) -> str:
        """Its id within the provider."""
        return self.TASK

    def displayName(self) -> str:
        """Its name in the toolbox."""
        return self.TITLE

    def group(self) -> str:
        """The name of its group."""
        return self.GROUP[1]

    def groupId(self) -> str:
        """The id of its group."""
        return self.GROUP[0]

    def icon(self) -> QIcon:
        """The icon in the toolbox."""
        return icon(self.ICON)

    def tags(self) -> List[str]:
        """Words by which the toolbox finds it."""
        return tr("timo,time series,satellite,deep learning,classification,model,map").split(",")

    def shortDescription(self) -> str:
        """What it does, as the toolbox's tool tip."""
        return self.ABOUT

    def shortHelpString(self) -> str:
        """What it does, and each parameter's help: a paragraph a line."""
        lines = [html.escape(self.ABOUT, quote=False)]
        for parameter in asked(self.TASK):
            lines.append(_paragraph(title(parameter), help_text(parameter)))
            if parameter.format == "series":
                lines.append(_paragraph(source_title(), source_help()))
        return "\n".join(lines)

    def helpUrl(self) -> str:
        """Where Processing's button Help leads: the plugin opens its guide there."""
        return address("processing")

    def initAlgorithm(self, _configuration: Mapping[str, Any] = {}) -> None:
        """Make the parameters."""
        for definition in definitions(self.TASK):
            self.addParameter(definition)

    # before it runs

    def canExecute(self) -> Tuple[bool, str]:
        """Whether there is what it needs in QGIS, and a sentence about what is missing."""
        if find_spec("zmq") is None:  # TiMo's own is on the path only when it was looked for
            from ..backend.pyzmq import offer
            from ..settings import Settings

            offer(Settings.load().home_folder)
        if find_spec("zmq") is None:
            from ..plugin import NO_PYZMQ

            return False, NO_PYZMQ
        return True, ""

    def checkParameterValues(self, values: Values, context: QgsProcessingContext) -> Tuple[bool, str]:
        """Whether it can run with these, and a sentence about what is wrong."""
        fine, why = super().checkParameterValues(values, context)
        if not fine:
            return fine, why
        try:
            self._check(values, context)
        except QgsProcessingException as error:
            return False, str(error)
        return True, ""

    def _check(self, values: Values, context: QgsProcessingContext) -> Request:
        from .request import read_inputs, read_outputs, why_not_outputs

        request = read_inputs(self, self.TASK, values, context)
        if not request.spec.get("overwrite"):
            # A context of its own: the outputs are named, and nobody is told to load them yet.
            outputs = read_outputs(self, self.TASK, values, QgsProcessingContext())
            problem = why_not_outputs(self.TASK, outputs)
            if problem:
                raise QgsProcessingException(problem)
        return request

    def prepareAlgorithm(
        self, values: Values, context: QgsProcessingContext, _feedback: QgsProcessingFeedback
    ) -> bool:
        """Look at the layers, which is allowed here."""
        from ..backend.others import proxy
        from .request import read_outputs

        fine, why = self.canExecute()
        if not fine:
            raise QgsProcessingException(why)
        self._request = self._check(values, context)
        self._outputs = read_outputs(self, self.TASK, values, context)
        self._request.spec.update(self._outputs)
        self._proxy = proxy()
        return True

    # the run

    def processAlgorithm(
        self, _values: Values, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> Dict[str, Any]:
        """Submit the job, follow it to its end, and name what it made.

        Raises:
            QgsProcessingException: It failed: one text that says why and what to do.
        """
        from ..settings import Settings
        from .job import run_job  # it needs pyzmq
        from .request import make_way

        for name in self._temporary_folders():
            feedback.pushWarning(
                tr(
                    "{title}: this is a temporary folder, which QGIS deletes when it ends. Name a folder to "
                    "keep it.",
                    title=self.parameterDefinition(name).description(),
                )
            )
        if self._request is None:
            raise QgsProcessingException(tr("The algorithm was run before it was prepared."))
        spec = self._request.write(Settings.load(), feedback)
        if feedback.isCanceled():
            return {}
        for told in self._bundles(spec):
            feedback.pushInfo(told)
        make_way(self.TASK, self._outputs)
        job = run_job(self.TASK, spec, self._proxy, feedback)
        if job.state != "succeeded":
            feedback.pushInfo(tr("The job was cancelled."))
            return {}
        self.arrive(job, self._outputs, context)
        return {**self._outputs, **self.more(job)}

    def arrive(self, job: Any, outputs: Mapping[str, str], context: QgsProcessingContext) -> None:
        """Say how the outputs that QGIS will load are to look. By default as QGIS does it.

        Args:
            job: The JobView of the succeeded job.
            outputs: Its files by parameter.
            context: Knows which of them are to be loaded.
        """

    def more(self, _job: Any) -> Dict[str, Any]:
        """Outputs beside the files that were asked for, from the JobView of the succeeded job."""
        return {}

    def _bundles(self, spec: Mapping[str, Any]) -> List[str]:
        """What the models that are used were trained on."""
        names = [parameter.name for parameter in asked(self.TASK) if parameter.format == "bundle"]
        models = [read_model(Path(spec[name])) for name in names if spec.get(name)]
        return [f"{model.name}: {model.told}" for model in models if model.told]

    def _temporary_folders(self) -> List[str]:
        folder = Path(QgsProcessingUtils.tempFolder())
        names = [parameter.name for parameter in asked(self.TASK) if parameter.format == OUTPUTS[-1]]
        return [
            name for name in names if name in self._outputs and folder in Path(self._outputs[name]).parents
        ]


def _paragraph(name: str, text: str) -> str:
    return f"<b>{html.escape(name, quote=False)}</b>: {html.escape(text, quote=False)}"
