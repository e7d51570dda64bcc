"""Online kNN against a naive count of votes, on held-out images only."""

import math

import numpy as np
import torch

from vireo.data import carve_validation
from vireo.pretrain.online_knn import OnlineKnn
from vireo.pretrain.prepare import prepare


def naive_accuracy(encoder, bank, queries, k, temperature):
    def features(source):
        pixels = [
            torch.from_numpy(source.frames(i)[0]).permute(2, 0, 1) for i in range(len(source))
        ]
        with torch.no_grad():
            found = encoder(encoder.normalise(torch.stack(pixels))).pooled.double().numpy()
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    known, right = features(bank), 0
    for query, feature in enumerate(features(queries)):
        nearest = sorted(range(len(bank)), key=lambda i: -float(known[i] @ feature))[:k]
        votes = {0: 0.0, 1: 0.0}
        for i in nearest:
            votes[bank.target(i, "class")] += math.exp(float(known[i] @ feature) / temperature)
        right += max(votes, key=votes.get) == queries.target(query, "class")
    return right / len(queries)


def test_the_share_is_that_of_a_naive_count_and_the_encoder_is_left_as_it_was(
    make_settings, compute
):
    settings = make_settings("supervised", data={"count": 150, "seed": 3})
    run = prepare(settings, compute)
    encoder = run.build().encoder.train()
    knn = OnlineKnn(run, workers=0, every=2)
    got = knn(encoder)
    assert encoder.training
    bank, queries = carve_validation(run.source, 0.2, seed=0)
    encoder.eval()
    expected = naive_accuracy(encoder, bank, queries, k=20, temperature=0.1)
    assert (len(bank), len(queries)) == (120, 30)
    assert got == expected
    assert naive_accuracy(encoder, bank, queries, k=1, temperature=0.1) != expected


def test_the_last_epoch_is_always_judged(make_settings, compute):
    knn = OnlineKnn(prepare(make_settings(epochs=5), compute), workers=0, every=2)
    assert [epoch for epoch in range(1, 6) if knn.is_due(epoch)] == [2, 4, 5]
