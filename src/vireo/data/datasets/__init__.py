"""The named datasets: name to the module's SPEC; its CARD lies beside it."""

DATASETS = {
    "digits": "vireo.data.datasets.digits:SPEC",
    "rooms": "vireo.data.datasets.rooms:SPEC",
}
