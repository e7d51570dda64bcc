"""Files as other projects' own code writes them, around small networks with seeded weights.

Every case is built from the project's code, which its docstring names by repository and path, and
not from this package's table of formats. A `Layout` is what the file must be read as, its `make`
the content with the original networks beside it.
"""

from tests.encoders.layouts.clustering import CLUSTERING
from tests.encoders.layouts.contrastive import CONTRASTIVE
from tests.encoders.layouts.conversions import CONVERSIONS
from tests.encoders.layouts.lightning import LIGHTNING
from tests.encoders.layouts.mmpretrain import MMPRETRAIN_LAYOUTS
from tests.encoders.layouts.supervised import SUPERVISED
from tests.encoders.layouts.transformers import TRANSFORMERS
from tests.encoders.layouts.vissl import VISSL

LAYOUTS = (
    *CONTRASTIVE,
    *CLUSTERING,
    *CONVERSIONS,
    *SUPERVISED,
    *TRANSFORMERS,
    *LIGHTNING,
    *MMPRETRAIN_LAYOUTS,
    *VISSL,
)
