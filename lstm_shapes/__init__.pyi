# The public names, each with the module that holds it. This is the one list: type checkers read it, and so does
# __init__.py, which imports a module when one of its names is first used.

from ._quiz import quiz as quiz
from .errors import LstmShapesError as LstmShapesError
from .errors import ScrambledAxesWarning as ScrambledAxesWarning
from .errors import ShapeError as ShapeError
from .errors import SpecError as SpecError
from .explanation import explain as explain
from .lab._build import build as build
from .lab.check.check import check as check
from .lab.check.session import install as install
from .lab.check.session import uninstall as uninstall
from .lab.check.watch import watch as watch
from .lab.gates import gates as gates
from .lab.proof import prove as prove
from .lab.run import run as run
from .lab.tensors import AnnotatedTensor as AnnotatedTensor
from .lab.tensors import annotate as annotate
from .lab.walk import walk as walk
from .pictures import picture as picture
from .theory.laws import laws as laws
from .theory.predict import count as count
from .theory.predict import predict as predict
from .theory.spec import Spec as Spec

__all__: list[str]
__version__: str

def load_ipython_extension(shell: object) -> None: ...
def unload_ipython_extension(shell: object) -> None: ...
