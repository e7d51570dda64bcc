"""What to learn: the pre-training algorithms, one file each, and what several of them share."""

from typing import Any

from vireo.catalog import resolve

METHODS: dict[str, str] = {
    "moco-v1": "vireo.methods.moco_v1:MoCoV1",
    "moco-v2": "vireo.methods.moco_v2:MoCoV2",
    "exemplar-v2": "vireo.methods.exemplar_v2:ExemplarV2",
    "swav": "vireo.methods.swav:SwAV",
    "deepcluster-v2": "vireo.methods.deepcluster_v2:DeepClusterV2",
    "dino": "vireo.methods.dino:DINO",
    "simclr": "vireo.methods.simclr:SimCLR",
    "byol": "vireo.methods.byol:BYOL",
    "simsiam": "vireo.methods.simsiam:SimSiam",
    "barlow-twins": "vireo.methods.barlow_twins:BarlowTwins",
    "vicreg": "vireo.methods.vicreg:VICReg",
    "pirl": "vireo.methods.pirl:PIRL",
    "npid": "vireo.methods.pirl:NPID",
    "supervised": "vireo.methods.supervised:Supervised",
}


def find_method(name: str) -> type[Any]:
    """Return the class of a method by its name in `METHODS` or by a dotted path.

    Raises:
        SettingError: there is none of that name.

    Example:
        >>> find_method("moco-v2").__name__
        'MoCoV2'
    """
    from vireo.methods.method import Method

    found: type[Method] = resolve(METHODS, name, "method", Method)
    return found


__all__ = ["METHODS", "find_method"]
